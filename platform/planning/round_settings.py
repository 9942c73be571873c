"""Settings of rounds: data alone, so that recipes read it without loading anything."""

import math

from pydantic import Field, PositiveInt

from forgefield.storage.documents import Document


class RoundSettings(Document):
    """When a campaign goes in rounds, and how large they are.

    Where a plan buys fewer than `fewest` training labels of the target tier there is one round:
    everything is bought, then trained on. Otherwise round 0 buys `first_share` of the planned
    training labels, and a later one at most `growth` times those at hand, until `most_rounds`, of
    which the last spends what is left; with 1 there are none. While one trains, random labels of
    the next are bought ahead: `ahead` of what it may grow by.

    `committee` fine-tunings judge where labels are worth most. Stages take `effort` times their
    steps, and `curve` is their learning curve; the last training goes by the recipe. A round's
    training begins without the slowest `patience` of its labels, of each kind that has several
    without one at least; 0 waits for all. `lend` slots at most go from labels to training.
    """

    fewest: PositiveInt = 16
    first_share: float = Field(0.25, gt=0, le=1)
    growth: float = Field(1.0, gt=0, le=10)
    most_rounds: PositiveInt = 6
    ahead: float = Field(0.5, ge=0, le=0.5)
    committee: int = Field(3, ge=2, le=20)
    effort: float = Field(0.5, gt=0, le=1)
    curve: tuple[float, ...] = (0.5,)
    patience: float = Field(0.1, ge=0, lt=1)
    lend: PositiveInt = 3

    def in_turn(self, most: int) -> int:
        """Rounds of `most` that come one after another where each grows by as much as it may."""
        growing = math.log(1 / self.first_share) / math.log(1 + self.growth)
        return min(most, 1 + math.ceil(growing - 1e-9))

    def number(self, target: int) -> int:
        """Rounds at most of a plan that buys so many target labels to train on; 0 for none."""
        return self.most_rounds if self.most_rounds > 1 and target >= self.fewest else 0
