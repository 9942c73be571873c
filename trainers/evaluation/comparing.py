"""Two force fields on the same frames. Legend: `F` frames, `A` atoms; `*_kcal` kcal/mol/Å."""

from dataclasses import dataclass

from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.evaluation.errors import atoms_by_frame, force_errors_by_frame
from forgefield.trainers.evaluation.intervals import Interval, interval_of_mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """Force MAE of `first` minus that of `second` on the same frames, kcal/mol/Å.

    `better` says which is better beyond the interval: "first", "second" or "undecided".
    """

    difference_kcal: Interval
    better: str


def compare_forces(
    first_A3: Array, second_A3: Array, frames: Frames, *, seed: int = 0
) -> Comparison:
    """Which of two predictions of forces (A, 3), eV/Å, errs less on frames that have them.

    Paired: the interval is of the difference on each frame, so what is hard for both cancels.
    """
    ours_F, _ = force_errors_by_frame(first_A3, frames)
    theirs_F, _ = force_errors_by_frame(second_A3, frames)
    difference = interval_of_mean(ours_F - theirs_F, atoms_by_frame(frames), seed=seed)
    return Comparison(difference, _verdict(difference))


def _verdict(difference: Interval) -> str:
    if difference.high < 0:
        return "first"
    return "second" if difference.low > 0 else "undecided"
