"""Settings and outcome of the three stages of ASTEROID: data alone, no torch."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from forgefield.storage.documents import Document
from forgefield.storage.records import Tier
from forgefield.trainers.model_settings import ModelSettings, NequIPSettings
from forgefield.trainers.settings import FitSettings, refuse_patience
from forgefield.trainers.stages.aims import Aim, refuse_half_an_aim
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.tasks import StageResult, StageTask

Chain = tuple[StageTask, ...]
"""Tasks in the order in which they need each other."""
Runner = Callable[[Sequence[Chain]], Sequence[Ending]]
"""Runs chains, side by side where it can; one may need force fields of chains named before it."""

UNWEIGHTED = "unweighted"
FAR = 2.0
"""Members mostly lie within a tenth of each other; twice the error is a failed training."""


def _read_unweighted(values: object) -> object:
    """TOML has no null: there it is written "unweighted"."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(None if value == UNWEIGHTED else value for value in values)


_Factor = Annotated[float, Field(gt=0)] | None
Grid = Annotated[tuple[_Factor, ...], BeforeValidator(_read_unweighted), Field(min_length=1)]
"""Values of c in γ = c·median(B); null weighs all alike."""

SHORT = FitSettings(
    optimiser="muon",
    rate=0.04,
    batch=8,
    final_rate=1e-3,
    weight_decay=0.0,
    ema=0.99,
    rho=0.01,
    evaluate_every=50,
)
"""What the fits of a campaign have in common: minutes on two cores."""
PATIENT = SHORT.model_copy(update={"patience": 12})
"""Of fits on accurate frames, which validation frames stop."""


class PhaseSettings(Document):
    """One rung of pre-training; tiers without frames are left out, empty rungs skipped.

    Each c of its own `c_grid` goes on from the same weights; without one it takes the c of the
    rung below, or on the first rung the common grid. `objective` "scores" matches the scores of
    frames sampled at `temperature` (K), and reads no labels.
    """

    tiers: tuple[Tier, ...]
    fit: FitSettings
    equal_mass: bool = False
    c_grid: Grid | None = None
    objective: Aim = "labels"
    temperature: float | None = Field(default=None, gt=0)
    slices: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        refuse_half_an_aim(self)
        refuse_patience(self.fit)
        return self


class AsteroidSettings(Document):
    """Settings of all stages. `c_grid` is searched in γ = c·median(B); null is unweighted.

    `effort` multiplies the steps of every stage; null lets the campaign's plan decide. `curve` are
    the fractions of the accurate training frames of the learning curve, below 1. The force field is
    the mean of `members` networks, each trained by the chosen stages with weights of its own.
    `workers` processes share every batch of a stage, where there are as many cores or GPUs.
    """

    model: ModelSettings = NequIPSettings()
    target: Tier = Tier.CCSD
    standard: FitSettings = PATIENT.model_copy(update={"steps": 800, "rate": 0.03})
    pretrain: tuple[PhaseSettings, ...] = (
        PhaseSettings(tiers=(Tier.XTB,), fit=SHORT.model_copy(update={"steps": 1500, "batch": 12})),
        PhaseSettings(tiers=(Tier.DFT,), fit=SHORT.model_copy(update={"steps": 300, "rate": 0.01})),
    )
    finetune: FitSettings = PATIENT.model_copy(
        update={"steps": 600, "rate": 0.006, "evaluate_every": 25, "warm_up": 50}
    )
    c_grid: Grid = (1.0, None)
    curve: tuple[float, ...] = (0.25, 0.5)
    members: int = Field(default=3, ge=1, le=20)
    workers: int = Field(default=1, ge=1, le=64)
    seed: int = 0
    effort: float | None = Field(default=None, gt=0)

    def longer(self, effort: float) -> Self:
        """All stages with `effort` times the steps, fine-tuning with its square root.

        Its few frames gain little by more (LOG.md). Evaluations keep their share, so patience does.
        """
        phases = tuple(
            phase.model_copy(update={"fit": phase.fit.longer(effort)}) for phase in self.pretrain
        )
        return self.model_copy(
            update={
                "standard": self.standard.longer(effort),
                "pretrain": phases,
                "finetune": self.finetune.longer(math.sqrt(effort)),
            }
        )


class Trial(Document):
    """One value of c on one rung; `tiers` are all that it climbed, `cs` c on each rung.

    `pretrain` is the last rung, `gammas` its γ in eV/Å (null where frames weren't weighted).
    """

    c: float | None
    cs: tuple[float | None, ...] = ()
    tiers: tuple[Tier, ...]
    gammas: tuple[float | None, ...]
    pretrain: StageResult
    finetune: StageResult

    @property
    def unweighted(self) -> bool:
        """Whether no rung on the way weighed frames, so that none knows of accurate labels."""
        return all(c is None for c in (*self.cs, self.c))


class CurvePoint(Document):
    """Force field of one kind trained on `fraction` of the accurate frames, `frames` of them."""

    kind: Literal["standard", "finetuned"]
    fraction: float
    frames: int
    validation: float | None
    force_field: Path


class TrainingOutcome(Document):
    """What training left: folders of force fields and validation errors, eV/Å.

    `curved` is the trial whose pre-training the curve's fine-tuned points start from, null in
    outcomes of older versions, which took the chosen one. `others` and `baseline_others` are the
    committees' further members: their fine-tunings, their standard trainings.
    """

    baseline: StageResult
    trials: tuple[Trial, ...]
    chosen: int
    curve: tuple[CurvePoint, ...]
    curved: int | None = None
    others: tuple[StageResult, ...] = ()
    baseline_others: tuple[StageResult, ...] = ()

    @property
    def curve_start(self) -> Trial:
        """The trial that the curve's fine-tuned points start from."""
        return self.best if self.curved is None else self.trials[self.curved]

    @property
    def curve_knows_all(self) -> bool:
        """Whether points on parts of the accurate frames start from weights that know them all."""
        return not self.curve_start.unweighted

    @property
    def best(self) -> Trial:
        """The trial with the smallest validation error."""
        return self.trials[self.chosen]

    @property
    def members(self) -> tuple[StageResult, ...]:
        """The committee: the fine-tuning that was chosen, and the others that came out alike."""
        return _alike(self.best.finetune, self.others)

    @property
    def baseline_members(self) -> tuple[StageResult, ...]:
        """The baseline's committee: the standard training, and the others that came out alike."""
        return _alike(self.baseline, self.baseline_others)


def _alike(first: StageResult, others: Sequence[StageResult]) -> tuple[StageResult, ...]:
    """Without those whose validation error is more than `FAR` times the first one's."""
    most = FAR * (first.validation or math.inf)
    return (first, *(each for each in others if (each.validation or 0.0) <= most))
