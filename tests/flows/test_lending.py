"""Slots that are lent with Ray's own placement groups: cores go to others and come back."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from crash.ray_driver import CAP, MMFF, SETTINGS, Quiet

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.labelling import Labelling, labelling
from forgefield.platform.buying.serving import lent, serve
from forgefield.platform.planning.machine import Slots
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import Configuration, Job, Purpose, Tier


@pytest.fixture
def phase(tmp_path: Path) -> Iterator[Labelling]:
    """Two slots of one core on a cluster of two cores, for labels that cost next to nothing."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=2, _memory=2 * 10**9, **quiet)
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    costs = {Tier.EMPIRICAL: TierCost(0.01, 0.01, 0.02, 10**8)}
    recipe, molecule = Recipe(labels=SETTINGS), find_molecule("methanol")
    try:
        with labelling(folder, molecule, recipe, costs, Slots(2, 1), Quiet()) as made:
            made.ledger.set_cap(CAP, "test")
            yield made
    finally:
        ray.shutdown()


def cheap_order(count: int) -> Order:
    molecule = find_molecule("methanol")
    jobs = deque(
        Job(
            Configuration(molecule.name, molecule.numbers, molecule.positions_A3 + 1e-3 * place),
            MMFF,
            Purpose.TRAIN,
        )
        for place in range(count)
    )
    return Order(jobs, count, Tier.EMPIRICAL, 0.01)


def free_cores() -> float:
    return float(ray.available_resources().get("CPU", 0))


@pytest.mark.slow
def test_a_lent_slot_frees_its_core_and_comes_back(phase: Labelling) -> None:
    """Another thread borrows a slot while labels are bought; a task runs there meanwhile."""
    told: list[object] = []
    desk = Desk([cheap_order(40)], dict.fromkeys(Tier, 1.0))

    def borrow() -> None:
        try:
            told.append(free_cores())
            with lent(phase, 1, lambda: None) as cores:
                told.append(cores)
                task = ray.remote(num_cpus=1)(lambda: "done")
                told.append(ray.get(task.remote(), timeout=240))
                told.append(sorted(slot.lent for slot in phase.slots))
        finally:
            desk.close()

    thread = threading.Thread(target=borrow)
    thread.start()
    serve(phase, desk)
    thread.join()
    assert told == [0.0, 1, "done", [False, True]]
    assert not any(slot.lent for slot in phase.slots)
    assert free_cores() == 0.0
    more = cheap_order(60)
    phase.buy([more])
    assert not more.jobs
    assert sum(row.done for row in phase.ledger.tally()) == 60
