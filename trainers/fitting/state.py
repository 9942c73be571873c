"""Where a fit stands besides its tensors: what was counted, judged and remembered.

Invariant: `loads(dumps(seconds))` is the same state with those seconds, so a resumed fit tells the
same history and stops at the same step. Errors are in eV/Å.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Self

from forgefield.trainers.settings import FitSettings, Progress


@dataclass(slots=True)
class State:
    """Steps taken, the best evaluation and how many there were since, losses since the last one.

    `seconds` are those of the processes before this one.
    """

    step: int = 0
    best: float = math.inf
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def finished(self, settings: FitSettings) -> bool:
        """Whether all steps are taken, or patience is at its end."""
        return 0 < settings.patience <= self.stale or self.step >= settings.steps

    def advance(self, loss: float) -> None:
        """A step was taken."""
        self.step += 1
        self.losses.append(loss)

    def judge(self, error: float, *, last: bool) -> bool:
        """Whether this step is to be kept: that of the least error, or the `last` one."""
        better = last or error < self.best
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best, self.best_step = error, self.step
        return better

    def report(self, error: float, steps: int) -> Progress:
        """The line of an evaluation, with the mean of the losses since the one before."""
        loss = math.fsum(self.losses) / max(1, len(self.losses))
        self.losses.clear()
        line = Progress(self.step, steps, loss, error, self.best)
        numbers = asdict(line)
        del numbers["said"]
        self.history.append(numbers)
        return line

    def lines(self) -> tuple[Progress, ...]:
        """All that were reported."""
        return tuple(_progress(line) for line in self.history)

    def dumps(self, seconds: float) -> str:
        """Everything as text, `seconds` so far included."""
        return json.dumps({**asdict(self), "seconds": seconds})

    @classmethod
    def loads(cls, text: str) -> Self:
        """What `dumps` wrote."""
        return cls(**json.loads(text))


def _progress(line: dict[str, float]) -> Progress:
    step, steps = int(line["step"]), int(line["steps"])
    return Progress(step, steps, line["loss"], line["validation"], line["best"])
