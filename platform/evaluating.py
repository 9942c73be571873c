"""Errors of the force field and of the baseline: measured once, read by report and scripts."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ConfigDict

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Document
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    IMPORTED,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.evaluation import compare, evaluate
from forgefield.trainers.force_field import ForceField

if TYPE_CHECKING:
    from ase import Atoms

UNKNOWN = "unknown"
"""Method of frames whose file names none."""
ORIGIN = Provenance(IMPORTED, "", "", 0, 0.0, 0.0)
FEW = 10
"""Test frames below which an interval is not to be taken at its word."""
UNIT = "kcal/mol/Å"
NO_BOUNDS = ConfigDict(ser_json_inf_nan="strings")
"""One frame has an infinite interval, which JSON has no number for."""


class Errors(Document):
    """Errors of one force field; forces in kcal/mol/Å, energies in kcal/mol.

    `low` and `high` bound the component-wise force MAE at 95 %, as `trainers.evaluation` says.
    `energy_mae` is of energies relative to their mean difference over the test frames.
    """

    model_config = NO_BOUNDS

    name: str
    force_mae: float
    low: float
    high: float
    force_rmse: float
    energy_mae: float
    force_mae_by_element: dict[str, float]


class Evaluation(Document):
    """Force field against baseline on the same frames.

    `method` labelled the test frames; `imitates` is what the force field was trained on where
    that is another method, else empty. `gain` is baseline MAE − force-field MAE,
    `gain_low`..`gain_high` its paired 95 % interval: above zero the three stages paid. Of the
    frames, `trained_on` have geometries that training or the choice of models saw: no test frames.
    """

    model_config = NO_BOUNDS
    method: str
    imitates: str = ""
    test_set: str
    frames: int
    force_field: Errors
    baseline: Errors
    gain: float
    gain_low: float
    gain_high: float
    trained_on: int = 0


def evaluate_run(folder: RunFolder, file: Path | None = None) -> Evaluation:
    """Test on the hold-out, or on the frames of `file`; raises `InputError` without a result."""
    if not folder.force_field.exists():
        raise InputError(
            f"{folder.root} has no force field yet. `platform run {folder.root}` goes on with it."
        )
    if file is not None:
        frames = read_frames(file)
        found = evaluate_on(folder, frames, file.name)
        return found.model_copy(update={"trained_on": _seen(frames, folder)})
    holdout = load_frames(folder.frames, purposes=(Purpose.HOLDOUT,)).of_tier(TARGET)
    return evaluate_on(folder, holdout, "hold-out")


def evaluate_on(folder: RunFolder, frames: Frames, test_set: str) -> Evaluation:
    """Errors of both force fields on these frames, which have to be of one method."""
    if not len(frames):
        raise InputError(f"There are no {test_set} frames to test on.")
    method = _only_method(frames, test_set)
    tuned, standard = ForceField.load(folder.force_field), ForceField.load(folder.baseline)
    gain = compare(standard, tuned, frames).difference_kcal
    return Evaluation(
        method=method,
        imitates="" if tuned.metadata.method == method else tuned.metadata.method,
        test_set=test_set,
        frames=len(frames),
        force_field=_errors("three stages", tuned, frames),
        baseline=_errors("standard training", standard, frames),
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
    )


def _seen(frames: Frames, folder: RunFolder) -> int:
    """How many of these geometries the run's training or choice of models saw."""
    if not folder.frames.exists():
        return 0
    known = {row.tobytes() for row in load_frames(folder.frames).of_tier(TARGET).geometry_F}
    return sum(row.tobytes() in known for row in frames.geometry_F)


def _only_method(frames: Frames, test_set: str) -> str:
    used = np.unique(frames.method_F).tolist()
    names: list[str] = sorted({frames.methods[place].name for place in used})
    if len(names) > 1:
        raise InputError(
            f"The {test_set} frames mix labels of {', '.join(names)}. Errors are against one "
            "method at a time: give the frames of each in a file of its own."
        )
    return names[0]


def _errors(name: str, force_field: ForceField, frames: Frames) -> Errors:
    found = evaluate(force_field, frames)
    return Errors(
        name=name,
        force_mae=found.force_mae_kcal.value,
        low=found.force_mae_kcal.low,
        high=found.force_mae_kcal.high,
        force_rmse=found.force_rmse_kcal.value,
        energy_mae=found.energy_centred_mae_kcal,
        force_mae_by_element=dict(found.element_mae_kcal),
    )


def read_frames(path: Path) -> Frames:
    """Frames with energies (eV) and forces (eV/Å) from any file ASE reads.

    `method` in a frame's info says what labelled it. Raises `InputError` where the file can't
    be read, a frame lacks its label, or one is periodic.
    """
    import ase.io

    try:
        images = ase.io.read(path, index=":")
        stored = [_stored(index, atoms) for index, atoms in enumerate(images, 1)]
    except Exception as error:
        raise InputError(
            f"Can't test on {path}: {type(error).__name__}: {str(error)[:200]}. It needs energies "
            "(eV) and forces (eV/Å) for every frame, as `platform export` writes them."
        ) from error
    periodic = [index for index, atoms in enumerate(images, 1) if atoms.pbc.any()]
    if periodic:
        raise InputError(
            f"Frame {periodic[0]} of {path} is periodic, and these force fields are for molecules. "
            'Give molecules in vacuum, with pbc="F F F".'
        )
    return from_stored(stored)


def _stored(seq: int, atoms: "Atoms") -> StoredFrame:
    label = Label(atoms.get_potential_energy(), atoms.get_forces(), ORIGIN)
    numbers = tuple(int(number) for number in atoms.numbers)
    configuration = Configuration(atoms.get_chemical_formula(), numbers, atoms.positions)
    method = Method(TARGET, str(atoms.info.get("method", UNKNOWN)))
    return StoredFrame(seq, Job(configuration, method, Purpose.HOLDOUT), label, 0)


def verdict(found: Evaluation) -> str:
    """Whether the three stages paid, by how much, and how sure that is."""
    if found.trained_on:
        return (
            f"No test: training or the choice of models saw {found.trained_on} of these "
            f"{found.frames} geometries, so the errors are too small. Without a file, "
            "`platform evaluate` takes the hold-out."
        )
    said = _outcome(found)
    if found.frames < FEW:
        frames = "1 test frame" if found.frames == 1 else f"{found.frames} test frames"
        said += f" With only {frames} the interval is rough."
    return said


def _outcome(found: Evaluation) -> str:
    old, new = found.baseline.force_mae, found.force_field.force_mae
    interval = f"95 % interval {_signed(found.gain_low)} to {_signed(found.gain_high)} {UNIT}"
    gain = f"(gain {_signed(found.gain)}, {interval})"
    if found.gain_low > 0:
        return (
            f"The three stages beat the standard training on the same accurate labels: the force "
            f"error is {100 * found.gain / old:.0f} % smaller, {three_digits(new)} instead of "
            f"{three_digits(old)} {UNIT} {gain}."
        )
    if found.gain_high < 0:
        return (
            f"The three stages did not pay: the standard training on the same accurate labels is "
            f"better, {three_digits(old)} instead of {three_digits(new)} {UNIT} {gain}."
        )
    return (
        f"Undecided: the three stages and the standard training differ by {_signed(found.gain)} "
        f"{UNIT} ({interval}), which includes zero. More test frames would tell."
    )


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + ("∞" if np.isinf(value) else three_digits(abs(value)))
