"""A real labelling run on a Ray that is up: `python -m crash.ray_driver FOLDER ADDRESS N`.

MMFF94 labels N displaced methanols through the run's own dispatcher, ledger service, spool and
frame store. Each process of it carries the points at which it may be killed.
"""

# ruff: noqa: T201 - the test reads stdout

import os
import sys
from collections import deque
from pathlib import Path

import numpy as np
import ray
from crash.points import arm
from crash.steps import PLATFORM_STEPS, STORAGE_STEPS

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.buying.dispatch import Order
from forgefield.platform.buying.labelling import labelling
from forgefield.platform.planning.machine import Slots
from forgefield.platform.planning.recipe import LabelSettings, Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.errors import ForgefieldError
from forgefield.storage.records import Configuration, Job, Method, Molecule, Purpose, Tier
from forgefield.storage.run_lock import RunLock

FUSE = "FORGEFIELD_TEST_FUSE"
CAP = 10**10
MMFF = Method(Tier.EMPIRICAL, "MMFF94")
SETTINGS = LabelSettings(largest_batch=4, limit_extra_s=2)


class Quiet:
    """Listens to a run and says nothing."""

    def say(self, text: str) -> None:
        """A line for people."""

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Progress of a step."""

    def end(self, name: str) -> None:
        """A step is over."""

    def labels(self, progress: LabelProgress) -> None:
        """Progress of labelling."""


def arm_worker() -> None:
    """Ray calls this in each of its workers before anything else."""
    arm(Path(os.environ[FUSE]), STORAGE_STEPS + PLATFORM_STEPS)


def jobs_of(molecule: Molecule, count: int) -> list[Job]:
    """Job `n` is the molecule with every atom displaced by what follows from n."""
    at, numbers = molecule.positions_A3, molecule.numbers
    moved = [at + np.random.default_rng(n).normal(0, 0.05, at.shape) for n in range(count)]
    shapes = [Configuration(molecule.name, numbers, positions) for positions in moved]
    return [Job(shape, MMFF, Purpose.TRAIN) for shape in shapes]


def drive(folder: RunFolder, count: int) -> None:
    """Recover, and buy what isn't bought of the first `count` jobs."""
    molecule = find_molecule("methanol")
    costs = {Tier.EMPIRICAL: TierCost(0.01, 0.01, 0.02, 10**8)}
    folder.create()
    with (
        RunLock(folder.root),
        labelling(folder, molecule, Recipe(labels=SETTINGS), costs, Slots(2, 1), Quiet()) as phase,
    ):
        phase.ledger.set_cap(CAP, "test")
        print("labelling", flush=True)
        jobs = deque(jobs_of(molecule, count))
        phase.buy([Order(jobs, count, Tier.EMPIRICAL, 0.01)])
    print("done", flush=True)


def main(folder: str, address: str, count: str) -> int:
    """One driver; its exit code is the command line's."""
    fuse = Path(folder) / "fuse"
    arm(fuse, STORAGE_STEPS + PLATFORM_STEPS)
    environment = {
        "worker_process_setup_hook": f"{arm_worker.__module__}.arm_worker",
        "env_vars": {FUSE: str(fuse)},
    }
    ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="ERROR")
    try:
        drive(RunFolder.at(folder), int(count))
    except ForgefieldError as error:
        print("refused", error, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    import crash.ray_driver

    sys.exit(crash.ray_driver.main(*sys.argv[1:]))
