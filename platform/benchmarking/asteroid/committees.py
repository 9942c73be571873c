"""The committee of a row as one force field: saved, calibrated and judged by validation frames."""

from collections.abc import Sequence
from pathlib import Path

from forgefield.platform.benchmarking.draws import Draw
from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.storage.records import Purpose
from forgefield.trainers.stages.tasks import StageResult

FOLDER = "committees"
"""Where they lie in a benchmark's folder."""


def saved_committee(
    prepared: Prepared, draw: Draw, members: Sequence[StageResult]
) -> tuple[Path, float]:
    """The folder of the members' mean force field, and its force MAE on validation, kcal/mol/Å."""
    from forgefield.trainers.evaluation import errors
    from forgefield.trainers.uncertainty.committee import calibrated, of_folders

    folder = prepared.asked.out / FOLDER / f"{members[0].name}-{len(members)}"
    validation = prepared.accurate.frames(draw.validation, Purpose.VALIDATION)
    outputs = [member.output for member in members]
    committee = calibrated(of_folders(outputs, device=prepared.device), validation)
    committee.save(folder)
    found = errors(*committee.predict(validation), validation)
    return folder, found.force_mae_kcal.value
