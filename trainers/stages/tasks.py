"""The stages of training as data: what is trained on which frames, from where, how long.

Source: ASTEROID, arXiv 2306.03109. A `StageTask` says all that a stage's result depends on, so
its hash names the result: the same task on the same data set is never trained twice.

1. *Bias identification*: `ccsd` frames, to its best by early stopping. It is also the baseline,
   since it is the standard training on the accurate frames alone.
2. *Pre-training* on the cheap frames, each weighted by how little it disagrees with stage 1.
3. *Fine-tuning* of stage 2 on the accurate frames, by early stopping.

Energies of a frame are relative to the reference energies of its own method. The force field
that leaves a stage carries the references of the *target* method wherever accurate frames are
at hand, so that its energies are comparable from stage 1 on.

Variants, each a field:

- *score matching* (`Phase.objective`): frames sampled at a temperature train without labels, in
  place of stages 1 and 2;
- *several molecules*: a selection takes those it names, or all; then each is fine-tuned;
- *heads*: every method trains a readout of its own over one backbone;
- *base*: the labels are those left after the predictions of another force field (Δ-learning
  between models), which the result carries inside and adds back;
- *frozen*: parameters that a phase leaves alone.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from forgefield.storage.documents import Document
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.model_settings import ModelSettings, NequIPSettings
from forgefield.trainers.settings import FitSettings, Progress
from forgefield.trainers.stages.aims import Aim, refuse_half_an_aim
from forgefield.trainers.stages.made import Made

DESCRIPTION = "stage.json"
"""What a finished stage leaves beside its force field: its `StageResult`."""
_PLACES = ("name", "output", "frames", "start", "teacher", "base", "threads")


def _is_none(value: object) -> bool:
    """Left out of documents, so that the keys of stages made before there were splits hold."""
    return value is None


class Selection(Document):
    """Which frames: of these tiers, purposes, molecules and split, and of those a first `fraction`.

    No `molecules` means all of them, no `split` that it doesn't matter whether `platform split`
    recorded one. "First" is by a shuffle that depends on the frames' sequence numbers and `seed`
    alone, so smaller fractions are subsets of larger ones. Frames without forces are left out, but
    for score matching.
    """

    tiers: tuple[Tier, ...]
    purposes: tuple[Purpose, ...] = (Purpose.TRAIN, Purpose.CALIBRATION)
    molecules: tuple[str, ...] = ()
    split: Literal["train", "validation"] | None = Field(default=None, exclude_if=_is_none)
    fraction: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0


class Phase(Document):
    """One fit on one selection; `equal_mass` makes each method count alike.

    Energies and forces are weighted by exp(−B/γ) where the task has a teacher, with γ from the
    median of B over the frames of this phase.

    `objective` "scores" takes the frames for samples of exp(−E/kT) at `temperature` (K) and
    ignores their labels: score matching, by `slices` random directions a frame. `frozen` are
    prefixes of the names of parameters that this phase doesn't touch.
    """

    frames: Selection
    fit: FitSettings
    equal_mass: bool = False
    objective: Aim = "labels"
    temperature: float | None = Field(default=None, gt=0)
    slices: int = Field(default=1, ge=1)
    frozen: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _scores_need_a_temperature(self) -> Self:
        refuse_half_an_aim(self)
        return self


class StageTask(Document):
    """A stage to run. Paths are absolute or relative to the working folder of the worker.

    `start` is a force field whose weights are the first ones, else they are random from `seed`.
    `teacher` is the force field θ₀ that weights are taken from, by γ = `c`·median(B).
    `target` is the tier that the result imitates: its references and name go into the result.
    `heads` are tiers or names of methods, each with a readout of its own; predictions come from
    that of the target, or of the last one where the target has none. `base` is a force field
    whose predictions are taken off the labels and added to the result's.
    """

    name: str
    frames: Path
    output: Path
    target: Tier = Tier.CCSD
    phases: tuple[Phase, ...] = Field(min_length=1)
    validation: Selection | None = None
    start: Path | None = None
    teacher: Path | None = None
    c: float | None = Field(default=None, gt=0)
    base: Path | None = None
    heads: tuple[str, ...] = ()
    model: ModelSettings = NequIPSettings()
    seed: int = 0
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _weights_need_both(self) -> Self:
        if (self.teacher is None) != (self.c is None):
            raise ValueError("weights by bias need a teacher and c, or neither")
        return self

    @property
    def sources(self) -> tuple[Path, ...]:
        """Folders of the force fields that it can't begin without."""
        return tuple(f for f in (self.start, self.teacher, self.base) if f is not None)

    def key(self) -> str:
        """Hash of all that the result depends on except data: names, places and threads don't.

        NequIP without products has the key of before there were any.
        """
        left_out: dict[str, Any] = dict.fromkeys(_PLACES, True)
        if isinstance(self.model, NequIPSettings) and not self.model.products:
            left_out["model"] = {"products"}
        text = self.model_dump_json(exclude=left_out)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Line(Document):
    """Mean loss since the line before; `validation` in eV/Å, null without validation frames."""

    step: int
    loss: float
    validation: float | None


class PhaseResult(Document):
    """How one phase ended: `validation` in eV/Å, null without validation frames."""

    frames: int
    steps: int
    best_step: int
    validation: float | None
    gamma: float | None = Field(description="eV/Å, null where frames weren't weighted")
    median_bias: float | None = Field(description="eV/Å")
    history: tuple[Line, ...] = ()


class StageResult(Document):
    """A finished stage; `output` holds the force field, `key` and `dataset` what it came from.

    `validation` is the force error of the last phase on the validation frames, eV/Å. `wall_s`
    counts all processes that trained it, each up to its last checkpoint. `made` is the machine that
    ended it; null of older versions.
    """

    name: str
    output: Path
    key: str
    dataset: str
    phases: tuple[PhaseResult, ...]
    validation: float | None
    wall_s: float
    made: Made | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class StageProgress:
    """A line of progress of a named stage: phase `phase` of `phases`, then the fit's own."""

    stage: str
    phase: int
    phases: int
    fit: Progress

    @property
    def best_kcal(self) -> float | None:
        """The best validation error so far, kcal/mol/Å; `None` before the first."""
        best = self.fit.best * KCAL_PER_MOL_PER_EV
        return best if math.isfinite(best) else None


WatchStage = Callable[[StageProgress], None]
