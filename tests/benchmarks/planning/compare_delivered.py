"""A compared campaign as a user gets it: its labels, and the mean of several networks on them.

    python tests/benchmarks/planning/compare_delivered.py compare ethanol 0 --fixed

`compare.py` trains one network in every arm, so that nothing but labels differs. Here the chosen
way of a finished campaign is trained again from other weights, and the mean of all is tested on the
same frames; with `--fixed` that of the fixed split too. Prints a line for each.
"""

import argparse
from pathlib import Path

import torch
from compare_arms import Drawn, Place, draw_of
from compare_recipes import MIDDLES, PAIRS, TARGETS

from forgefield.platform.planning.allocation import MIDDLE
from forgefield.platform.run_folder import RunFolder
from forgefield.trainers.evaluation import evaluate
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.asteroid import TrainingOutcome, plain_runner, train
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.ladder import Ladder, way_to
from forgefield.trainers.uncertainty.committee import of_folders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("system", choices=[pair.name for pair in PAIRS])
    parser.add_argument("seed", type=int)
    parser.add_argument("--budgets", nargs="*", default=["180"])
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--fixed", action="store_true", help="the fixed split's networks too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    (pair,) = (pair for pair in PAIRS if pair.name == options.system)
    root = options.out / f"{pair.name}-{options.seed}"
    place = Place(root, root / f"{pair.name}.toml")
    seen = draw_of(place, pair)
    for budget in options.budgets:
        run = RunFolder.at(root / f"run-{budget}ccsd")
        outcome = TrainingOutcome.model_validate_json(run.outcome.read_text("utf-8"))
        found = _errors(seen, outcome, _ladder(place, run.frames, run.training), options.members)
        print(f"{root.name} {budget}ccsd: {found}", flush=True)
    if options.fixed:
        store, folder = seen.store(TARGETS, MIDDLES), root / "fixed"
        settings = place.recipe.training
        outcome = train(store, folder, settings, plain_runner(), cheap_tiers=[MIDDLE])
        found = _errors(seen, outcome, _ladder(place, store, folder), options.members)
        print(f"{root.name} fixed: {found}", flush=True)


def _ladder(place: Place, frames: Path, folder: Path) -> Ladder:
    return Ladder(frames, folder, place.recipe.training, (MIDDLE,))


def _errors(seen: Drawn, outcome: TrainingOutcome, ladder: Ladder, members: int) -> str:
    """Errors of one network and of the means of more, in words."""
    climbs = ladder.climbs(outcome.baseline.output)
    (way,) = (
        way_to(rung, climbs)
        for climb in climbs
        for rung in climb
        if rung.finetune.name == outcome.best.finetune.name
    )
    trained = plain_runner()(committee(way, members))
    folders = [chain[-1].output for chain in trained]
    test = seen.test.frames(range(len(seen.test)))
    fields = [
        ForceField.load(folders[0]),
        *(of_folders(folders[:n]) for n in range(2, members + 1)),
    ]
    errors = [evaluate(field, test).force_mae_kcal.value for field in fields]
    return ", ".join(f"{count} network(s) {error:.3f}" for count, error in enumerate(errors, 1))


if __name__ == "__main__":
    main()
