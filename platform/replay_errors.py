"""What a replayed campaign's force field is worth: its errors on frames of a file that nothing saw.

The hold-out is bought, so it is small; test frames of a file are as many as the file has.
"""

from pathlib import Path

from forgefield.platform.evaluating import Evaluation, judge, predict
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.pools.replayed import judging_frames
from forgefield.platform.run_folder import RunFolder, write_atomically


def errors_of_test_frames(folder: RunFolder) -> Path:
    """Where a run keeps its errors on test frames."""
    return folder.root / "test_evaluation.json"


def measure_on_test_frames(folder: RunFolder) -> Evaluation | None:
    """Errors on the recipe's test frames, kept in the run folder; `None` where it names none."""
    plan = load_plan(folder.plan)
    file = judging_frames(plan.molecule.to_record(), plan.recipe)
    if file is None:
        return None
    found = judge(folder, predict(folder, file.frames(range(len(file))), file.path.name))
    write_atomically(errors_of_test_frames(folder), found.model_dump_json(indent=1))
    return found
