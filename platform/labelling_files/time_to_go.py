"""How long labelling will still take, from what finished labels took.

Every frame has a guess of its cost, which is right up to a factor for the machine at hand and a
scatter from frame to frame. Both are learnt from the finished labels, so the time to go comes
with a range that nine in ten runs end within.
"""

import math
from dataclasses import dataclass

NINE_IN_TEN = 1.645
"""Standard deviations either side of a mean that hold 90 % of a normal distribution."""
FEWEST = 2


@dataclass(frozen=True, slots=True)
class TimeToGo:
    """Wall seconds, and the 90 % range around them."""

    seconds: float
    low: float
    high: float


@dataclass(slots=True)
class CostSpread:
    """Running mean and scatter of true cost over guessed cost (Welford's sums)."""

    count: int = 0
    mean: float = 1.0
    squares: float = 0.0

    def add(self, guess: float, core_seconds: float) -> None:
        """Learn from one finished label."""
        ratio = core_seconds / guess
        self.count += 1
        step = ratio - (self.mean if self.count > 1 else 0.0)
        self.mean = (self.mean if self.count > 1 else 0.0) + step / self.count
        self.squares += step * (ratio - self.mean)

    @property
    def deviation(self) -> float:
        """Standard deviation of the ratio; as large as the mean while hardly anything is known."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count >= FEWEST else self.mean

    def time_to_go(self, guesses: float, squared_guesses: float, cores: float) -> TimeToGo | None:
        """For frames whose guesses sum to `guesses`, and squared to `squared_guesses`.

        `None` until two labels are known. `cores` is the core-seconds that pass in a second.
        """
        if self.count < FEWEST:
            return None
        scatter = self.deviation * math.sqrt(squared_guesses + guesses**2 / self.count)
        middle, margin = self.mean * guesses / cores, NINE_IN_TEN * scatter / cores
        return TimeToGo(middle, max(0.0, middle - margin), middle + margin)
