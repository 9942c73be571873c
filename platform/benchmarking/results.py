"""What a benchmark leaves: every number, where it came from, and how to get it again.

Errors and biases in kcal/mol and Å, as the papers quote them; times in seconds.
"""

import os
import platform as system
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from forgefield.platform.benchmarking.draws import Draw, Index
from forgefield.platform.distance_errors import NO_BOUNDS, DistanceErrors
from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.storage.documents import Document
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.presets import Preset
from forgefield.trainers.stages.made import Made, device_name, versions
from forgefield.trainers.stages.tasks import StageResult


class Score(Document):
    """Errors on the test frames: force MAE over components with its 95 % interval, and more.

    `energy_mae` is of energies relative to their mean difference. `by_distance` is that to the
    nearest of the most accurate frames that a row trains on. `predictions` is an npz file
    beside the results, with `energy` (F,) eV and `forces` (A, 3) eV/Å.
    """

    model_config = NO_BOUNDS

    frames: int
    force_mae: float
    low: float
    high: float
    force_rmse: float
    energy_mae: float
    force_mae_by_element: dict[str, float]
    by_distance: tuple[DistanceErrors, ...] = ()
    predictions: Path


Point = tuple[float, float]
"""Seconds since the first step of the first stage, and the validation error then."""


class Row(Document):
    """One training of one seed, measured.

    `ratio` is what an accurate label costs in cheap ones (null where none are bought), `accurate`
    and `cheap` the labels trained on, `validation` the force MAE on the validation frames.
    `seconds` are those of the fits alone that it went through, `search_seconds` of all that were
    tried for this row where c was searched, but for those that diverged; of an interrupted fit
    they count up to its last checkpoint. `gamma` = `c` · `median_bias`. A committee's `members`
    share labels; its seconds are their sum. `made` says where its stages were trained, each place
    once; null is an older version that didn't note it.
    """

    row: str
    seed: int
    effort: float = 1.0
    ratio: float | None = None
    accurate: int
    cheap: int = 0
    members: int = 1
    score: Score
    validation: float | None = None
    seconds: float
    search_seconds: float
    c: float | None = None
    gamma: float | None = None
    median_bias: float | None = None
    tried: dict[str, float | None] = Field(
        default={},
        description="validation error after fine-tuning by c, of those tried for this row",
    )
    force_field: Path | None = None
    made: tuple[Made | None, ...] = ()
    history: tuple[Point, ...] = ()


class LeftOut(Document):
    """A row that isn't there, and why; null is all seeds, efforts, cost ratios, sizes."""

    row: str
    reason: str
    seed: int | None = None
    effort: float | None = None
    ratio: float | None = None
    accurate: int | None = None

    @property
    def name(self) -> str:
        """As people read it."""
        return named(self, self.accurate)


def named(row: Row | LeftOut, accurate: int | None) -> str:
    """`ASTEROID, seed 1, 40:1`; `accurate` labels where these tell rows apart."""
    words = [
        row.row,
        "" if row.seed is None else f"seed {row.seed}",
        "" if row.effort in {None, 1.0} else f"effort {row.effort:g}",
        "" if row.ratio is None else f"{row.ratio:g}:1",
        "" if accurate is None else f"{accurate} labels",
    ]
    return ", ".join(word for word in words if word)


class FileFacts(Document):
    """A file of labels as it was read."""

    path: Path
    sha256: str
    frames: int
    method: str
    unit: str


class Origin(Document):
    """The last call: command, versions, machine. What it found trained may be made elsewhere."""

    command: str
    versions: dict[str, str]
    python: str
    machine: str
    cores: int
    device: str
    parallel: int


class Results(Document):
    """Everything. `cheap` are the places of the cheap frames by seed, the most that were drawn."""

    model_config = NO_BOUNDS

    kind: str
    molecule: str = Field(description="formula")
    name: str = Field(default="", description="the paper's, known by bonds")
    model: str
    budget: int | None = Field(default=None, description="accurate labels that a row may cost")
    origin: Origin
    files: dict[str, FileFacts]
    preset: Preset
    draws: dict[str, Draw]
    cheap: dict[str, Index]
    cheap_hash: dict[str, str]
    temperature: float | None = Field(default=None, description="K, of score matching")
    no_force: float | None = Field(
        default=None, description="force MAE of predicting none, over all draws' test frames"
    )
    shared: int = Field(description="cheap frames left out for a geometry of the accurate file")
    notes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def name_of(self, row: Row) -> str:
        """What tells a row from all others, in words."""
        return named(row, row.accurate if self.kind == "curve" else None)

    @property
    def title(self) -> str:
        """Model, molecule, and budget where there is one."""
        at = "" if self.budget is None else f", budget {self.budget} labels"
        return f"{self.model}, {self.name or self.molecule}{at}"


def facts_of(file: LabelledFile) -> FileFacts:
    """What is noted of a file."""
    return FileFacts(
        path=file.path,
        sha256=file.sha256,
        frames=len(file),
        method=file.method.name,
        unit=file.unit,
    )


def origin(device: str, parallel: int) -> Origin:
    """This process and this machine."""
    return Origin(
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        versions=versions(),
        python=system.python_version(),
        machine=f"{system.machine()} {system.system()}",
        cores=os.cpu_count() or 1,
        device=device_name(device),
        parallel=parallel,
    )


def history(stages: Sequence[StageResult]) -> tuple[Point, ...]:
    """Validation error of the last stage against time; steps are taken to be equally long."""
    phase, last = stages[-1].phases[-1], stages[-1]
    before = sum(stage.wall_s for stage in stages[:-1])
    return tuple(
        (before + last.wall_s * line.step / phase.steps, line.validation * KCAL_PER_MOL_PER_EV)
        for line in phase.history
        if line.validation is not None
    )


def places_of(stages: Iterable[StageResult]) -> tuple[Made | None, ...]:
    """Where stages were trained, each place once."""
    found: list[Made | None] = []
    for stage in stages:
        if stage.made not in found:
            found.append(stage.made)
    return tuple(found)


def spread(values: list[float]) -> tuple[float, float]:
    """Mean over seeds and standard deviation (n − 1), which is NaN for one."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return float(np.mean(values)), deviation


def write(path: Path, text: str) -> None:
    """The old file or the whole new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, [text.encode()])
