"""Errors of the force field and of the baseline: measured once, read by report and scripts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.distance_errors import errors_by_distance
from forgefield.platform.evaluation_frames import read_frames
from forgefield.platform.evaluation_results import Errors, Evaluation, verdict
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.own_frames import held_out
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.likeness import SAME_A, seen_before
from forgefield.storage.records import Array, Purpose
from forgefield.trainers.evaluation import compare_forces, errors
from forgefield.trainers.loading import load_force_field

__all__ = ["Errors", "Evaluation", "evaluate_run", "verdict"]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Test frames, and energies (F,) eV and forces (A, 3) eV/Å for them.

    `imitates` is the method that the force field was trained on.
    """

    frames: Frames
    test_set: str
    imitates: str
    force_field: tuple[Array, Array]
    baseline: tuple[Array, Array]


def evaluate_run(
    folder: RunFolder, file: Path | None = None, *, plot: Path | None = None
) -> Evaluation:
    """Test on the hold-out, or on the frames of `file`; raises `InputError` without a result.

    `plot` is a PNG file for predictions against labels.
    """
    if not folder.force_field.exists():
        raise InputError(
            f"{folder.root} has no force field yet. `platform run {folder.root}` goes on with it."
        )
    if file is None:
        predicted, seen = predict(folder, _hold_out(folder), "hold-out"), 0
    else:
        frames = read_frames(file)
        predicted, seen = predict(folder, frames, file.name), _seen(frames, folder)
    found = judge(folder, predicted).model_copy(update={"trained_on": seen})
    if plot is not None:
        from forgefield.platform.drawing.curves import plot_parity

        both = {"three stages": predicted.force_field, "standard training": predicted.baseline}
        plot_parity(plot, predicted.frames, both)
    return found


def _hold_out(folder: RunFolder) -> Frames:
    methods = load_plan(folder.plan).methods if folder.plan.exists() else None
    return held_out(load_frames(folder.frames, purposes=(Purpose.HOLDOUT,)), methods)


def predict(folder: RunFolder, frames: Frames, test_set: str) -> Predicted:
    """What both force fields of a run say of these frames."""
    if not len(frames):
        raise InputError(f"There are no {test_set} frames to test on.")
    tuned, standard = (load_force_field(at) for at in (folder.force_field, folder.baseline))
    imitates = tuned.metadata.method
    return Predicted(frames, test_set, imitates, tuned.predict(frames), standard.predict(frames))


def judge(folder: RunFolder, predicted: Predicted) -> Evaluation:
    """Errors of both force fields on frames, which have to be of one method."""
    frames = predicted.frames
    method = _only_method(frames, predicted.test_set)
    trained = _trained(folder)
    gain = compare_forces(predicted.baseline[1], predicted.force_field[1], frames).difference_kcal
    return Evaluation(
        method=method,
        imitates="" if predicted.imitates == method else predicted.imitates,
        test_set=predicted.test_set,
        frames=len(frames),
        force_field=_errors("three stages", predicted.force_field, frames, trained),
        baseline=_errors("standard training", predicted.baseline, frames, trained),
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
    )


def _trained(folder: RunFolder) -> Frames:
    """The accurate frames that the run trained on; none where they are gone."""
    if not folder.frames.exists():
        return Frames.empty()
    accurate = load_frames(folder.frames).of_tier(TARGET)
    return accurate.of_purpose(Purpose.TRAIN, Purpose.CALIBRATION)


def _seen(frames: Frames, folder: RunFolder) -> int:
    """How many of these geometries training or the choice of models saw, by labels of any tier."""
    if not folder.frames.exists():
        return 0
    return int(seen_before(frames, load_frames(folder.frames), SAME_A).sum())


def _only_method(frames: Frames, test_set: str) -> str:
    used = np.unique(frames.method_F).tolist()
    names: list[str] = sorted({frames.methods[place].name for place in used})
    if len(names) > 1:
        raise InputError(
            f"The {test_set} frames mix labels of {', '.join(names)}. Errors are against one "
            "method at a time: give the frames of each in a file of its own."
        )
    return names[0]


def _errors(name: str, predicted: tuple[Array, Array], frames: Frames, trained: Frames) -> Errors:
    found = errors(*predicted, frames)
    return Errors(
        name=name,
        force_mae=found.force_mae_kcal.value,
        low=found.force_mae_kcal.low,
        high=found.force_mae_kcal.high,
        force_rmse=found.force_rmse_kcal.value,
        energy_mae=found.energy_centred_mae_kcal,
        force_mae_by_element=dict(found.element_mae_kcal),
        force_cosine=found.force_cosine,
        by_distance=errors_by_distance(predicted[1], frames, trained),
    )
