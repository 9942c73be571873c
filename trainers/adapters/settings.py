"""What the trainings of other programs have in common, under one name and with one default."""

from typing import Literal

from pydantic import Field

from forgefield.storage.documents import Document

Precision = Literal["float32", "float64"]


class ProgramSettings(Document):
    """Schedule, weight of energies in the loss, and device; `cutoff` in Å."""

    cutoff: float = Field(default=5.0, gt=0)
    batch: int = Field(default=5, ge=1)
    epochs: int = Field(default=500, ge=1)
    rate: float = Field(default=0.01, gt=0)
    ema: float = Field(default=0.99, gt=0, lt=1)
    energy_weight: float = Field(default=1.0, ge=0)
    device: Literal["cpu", "cuda"] = "cpu"
    seed: int = 0
