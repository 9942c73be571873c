"""Errors of the force field and of the baseline: measured once, read by report and scripts."""

from pathlib import Path
from typing import TYPE_CHECKING

from forgefield.platform.allocation import TARGET
from forgefield.platform.plan import Document
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames, StoredFrame, from_stored
from forgefield.storage.records import (
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
)
from forgefield.trainers.evaluation import compare, evaluate
from forgefield.trainers.force_field import ForceField

if TYPE_CHECKING:
    from ase import Atoms


class Errors(Document):
    """Errors of one force field; forces in kcal/mol/Å, energies in kcal/mol.

    `low` and `high` bound the component-wise force MAE at 95 % (bootstrap over frames).
    `energy_mae` is of energies relative to their mean difference over the test frames.
    """

    name: str
    force_mae: float
    low: float
    high: float
    force_rmse: float
    energy_mae: float
    force_mae_by_element: dict[str, float]


class Evaluation(Document):
    """Force field against baseline on the same frames.

    `gain` is baseline MAE − force-field MAE, `gain_low`..`gain_high` its 95 % interval from
    the paired bootstrap: above zero the three stages paid.
    """

    method: str
    test_set: str
    frames: int
    force_field: Errors
    baseline: Errors
    gain: float
    gain_low: float
    gain_high: float


def evaluate_run(folder: RunFolder, file: Path | None = None) -> Evaluation:
    """Test on the hold-out, or on the frames of `file`; raises `InputError` without a result."""
    if not folder.force_field.exists():
        raise InputError(
            f"{folder.root} has no force field yet. `platform run {folder.root}` goes on with it."
        )
    if file is not None:
        return evaluate_on(folder, read_frames(file), file.name)
    holdout = load_frames(folder.frames, purposes=(Purpose.HOLDOUT,)).of_tier(TARGET)
    return evaluate_on(folder, holdout, "hold-out")


def evaluate_on(folder: RunFolder, frames: Frames, test_set: str) -> Evaluation:
    """Errors of both force fields on these frames."""
    if not len(frames):
        raise InputError(f"There are no {test_set} frames to test on.")
    tuned, standard = ForceField.load(folder.force_field), ForceField.load(folder.baseline)
    gain = compare(standard, tuned, frames).difference_kcal
    return Evaluation(
        method=tuned.metadata.method,
        test_set=test_set,
        frames=len(frames),
        force_field=_errors("three stages", tuned, frames),
        baseline=_errors("standard training", standard, frames),
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
    )


def _errors(name: str, force_field: ForceField, frames: Frames) -> Errors:
    found = evaluate(force_field, frames)
    return Errors(
        name=name,
        force_mae=found.force_mae_kcal.value,
        low=found.force_mae_kcal.low,
        high=found.force_mae_kcal.high,
        force_rmse=found.force_rmse_kcal.value,
        energy_mae=found.energy_centred_mae_kcal.value,
        force_mae_by_element=dict(found.element_mae_kcal),
    )


def read_frames(path: Path) -> Frames:
    """Frames with energies (eV) and forces (eV/Å) from any file ASE reads.

    Raises `InputError` where the file can't be read or a frame lacks its label.
    """
    import ase.io

    try:
        images = ase.io.read(path, index=":")
        return from_stored([_stored(index, atoms) for index, atoms in enumerate(images, 1)])
    except Exception as error:
        raise InputError(
            f"Can't test on {path}: {type(error).__name__}: {str(error)[:200]}. It needs energies "
            "(eV) and forces (eV/Å) for every frame, as `platform export` writes them."
        ) from error


def _stored(seq: int, atoms: "Atoms") -> StoredFrame:
    label = Label(atoms.get_potential_energy(), atoms.get_forces(), _UNKNOWN)
    numbers = tuple(int(number) for number in atoms.numbers)
    configuration = Configuration(atoms.get_chemical_formula(), numbers, atoms.positions)
    method = Method(TARGET, str(atoms.info.get("method", "unknown")))
    return StoredFrame(seq, Job(configuration, method, Purpose.HOLDOUT), label, 0)


_UNKNOWN = Provenance("imported", "", "", 0, 0.0, 0.0)
