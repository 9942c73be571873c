"""Settings of fits, and a line of progress: data alone, no torch.

They are apart from their owners so that reading a recipe, drawing a progress bar or starting a
cluster controller doesn't load torch, which takes seconds of a core in every process.
"""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field

from forgefield.storage.documents import Document

Norm = Literal["l1", "l2", "huber"]


class FitSettings(Document):
    """How one fit runs; `patience` counts evaluations without a new best, 0 never stops early.

    `compiled` steps are faster after a minute or more of compiling; null decides by length.
    """

    steps: int = Field(default=3000, ge=1)
    batch: int = Field(default=16, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    final_rate: float = Field(default=0.01, ge=0, le=1, description="last rate / rate")
    warm_up: int = Field(default=100, ge=0)
    optimiser: Literal["adamw", "muon"] = "adamw"
    momentum: float = Field(default=0.95, ge=0, lt=1, description="of muon")
    rest: float = Field(default=1.0, gt=0, description="rate of what isn't a matrix / rate, muon")
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=10.0, gt=0)
    ema: float = Field(default=0.995, ge=0, lt=1)
    rho: float = Field(default=0.001, ge=0, le=1)
    norm: Norm = "huber"
    compiled: bool | None = None
    evaluate_every: int = Field(default=100, ge=1)
    patience: int = Field(default=0, ge=0)
    save_every: int = Field(default=1000, ge=1)
    seed: int = 0

    def longer(self, factor: float) -> Self:
        """`factor` times the steps: warm-up and evaluations keep their shares, so patience does."""

        def times(count: int, least: int) -> int:
            return max(least, round(count * factor))

        return self.model_copy(
            update={
                "steps": times(self.steps, 1),
                "warm_up": times(self.warm_up, 0),
                "evaluate_every": times(self.evaluate_every, 1),
            }
        )


def refuse_patience(pretraining: FitSettings) -> None:
    """Raise `ValueError` where pre-training would wait for validation frames that it hasn't."""
    if pretraining.patience:
        raise ValueError("pre-training has no validation frames to stop by: leave out patience")


@dataclass(frozen=True, slots=True)
class Progress:
    """One line for whoever watches; `validation` in eV/Å, NaN without validation frames.

    `said` is what people should know about this fit: why it is slower than it could be.
    """

    step: int
    steps: int
    loss: float
    validation: float
    best: float
    said: str = ""
