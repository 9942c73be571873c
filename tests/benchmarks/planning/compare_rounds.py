"""Errors that a compared campaign's rounds had on its test frames, and what they had cost by then.

    python tests/benchmarks/planning/compare_rounds.py compare/h2co-0 h2co 180

A round's force field was trained for half the steps; what it cost is all that it was trained and
chosen with, and the hold-out, which is bought before the first round: in target-tier labels.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from compare_recipes import PAIRS, RATIO

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.recipe import load_recipe
from forgefield.platform.pools.replayed import judging_frames
from forgefield.platform.rounds.documents import RoundFolder, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose
from forgefield.trainers.evaluation import errors
from forgefield.trainers.force_field import ForceField


def main(arguments: Sequence[str]) -> None:
    """Print a line a round."""
    place, name, budget = arguments
    (pair,) = (pair for pair in PAIRS if pair.name == name)
    folder = RunFolder.at(Path(place) / f"run-{budget}ccsd")
    file = judging_frames(
        find_molecule(pair.molecule), load_recipe(Path(place) / f"{name}-campaign.toml")
    )
    if file is None:
        raise SystemExit("The recipe sets no test frames apart.")
    test = file.frames(range(len(file)))
    judging = load_frames(folder.frames, tuple(Purpose)).of_tier(TARGET)
    judged = len(judging.of_purpose(Purpose.HOLDOUT, Purpose.VALIDATION))
    for record in ended_rounds(folder):
        root = RoundFolder.of(folder, record.number).root
        found = errors(*ForceField.load(root / record.members[0]).predict(test), test)
        counts = record.counts
        cost = counts.target + judged + counts.middle / RATIO
        print(
            f"{name} round {record.number}: {counts.target} + {judged} target labels, "
            f"{counts.middle} of the tier below, cost {cost:.1f}: "
            f"test {found.force_mae_kcal.value:.3f}, validation {record.error:.3f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
