"""One campaign as `platform run` drives it, but its stages are trained in this process.

    python tests/benchmarks/planning/compare_child.py MOLECULE BUDGET RECIPE FOLDER

Under Ray Train every stage starts a worker, which takes longer than stages as short as these; the
numbers are the same. Labels, ledger, rounds and stop are the campaign's own; no report is written.
Prints the result as JSON, and on stderr what is going on.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forgefield.labelers.molecules import find_molecule
from forgefield.platform import training
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.recipe import load_recipe
from forgefield.platform.planning.request import Request, known_plan
from forgefield.platform.results import result_of
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.trainers.stages.asteroid import plain_runner
from forgefield.trainers.stages.asteroid_settings import Runner


class Log:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        """A line for people."""
        print(f"{time.monotonic() - self.start:7.1f} {text}", file=sys.stderr, flush=True)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Bars are for terminals."""

    def end(self, name: str) -> None:
        """Bars are for terminals."""

    def labels(self, progress: LabelProgress) -> None:
        """Bars are for terminals."""


@contextmanager
def in_this_process(*_: object, **__: object) -> Iterator[Runner]:
    """In the place of `training.running_stages`."""
    yield plain_runner()


def main(arguments: Sequence[str]) -> None:
    """Run it to its end."""
    import torch

    from forgefield.platform.campaign import driving

    torch.set_num_threads(1)
    training.running_stages = in_this_process  # type: ignore[assignment]
    molecule, budget, recipe, folder = arguments
    request = Request(
        find_molecule(molecule),
        parse_budget(budget),
        load_recipe(recipe),
        RunFolder.at(Path(folder)),
    )
    with driving(request, None, Log()) as campaign:
        plan = known_plan(request) or campaign.calibrate(request)
        why = campaign.label(plan)
        result = result_of(request.folder, plan, why, campaign.train(plan))
    print(result.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1:])
