"""A pool grows to its plan, and what is there keeps its place; a plan that cannot be is refused."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from spring_campaign import Quiet

from forgefield.labelers.distinct import distinct
from forgefield.labelers.molecules import find_molecule
from forgefield.platform.buying.orders import campaign_orders
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.pools.making import grown_pool, pool_for
from forgefield.platform.pools.pool import Pool
from forgefield.platform.pools.sizes import pool_size
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Job, Label, Method, Outcome, Provenance, Purpose, Tier

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
SECONDS = {Tier.EMPIRICAL: 1e-4, Tier.XTB: 3e-3, Tier.DFT: 4.0, Tier.CCSD: 16.0}
SAMPLING = {"frames": 20, "conformers": 1, "interval": 50.0, "equilibration": 50.0}
METHANOL = find_molecule("methanol")


def planned(folder: RunFolder, dft: float, book: str = "", **sampling: float) -> Plan:
    """A plan of methanol whose DFT labels cost so many core-seconds."""
    costs = {t: TierCost(s, s / 2, s * 2, 10**9, 2) for t, s in (SECONDS | {Tier.DFT: dft}).items()}
    said = {
        "sampling": SAMPLING | sampling,
        "labels": {"book": book},
        "allocation": {"cheap_labels": 20},
    }
    recipe = Recipe.model_validate(said)
    budget, place = parse_budget("40ccsd"), str(folder.root)
    return make_plan(METHANOL, budget, costs, (HERE,), recipe, place)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.at(tmp_path / "runs/run")
    made.create()
    return made


def refuse_alike(pool: Pool, threshold: float) -> None:
    features = sorted_distances(METHANOL.numbers, pair_distances(pool.positions_FA3))
    assert distinct(features, threshold).all()


@pytest.mark.parametrize("book", ["", "labels.sqlite"])
def test_labels_that_turn_out_cheaper_find_configurations(folder: RunFolder, book: str) -> None:
    """DFT a fifth as dear as it was thought, then cheaper still."""
    first = planned(folder, 5.0, book)
    pools = [pool_for(folder, METHANOL, first, Quiet())]
    for dft in (1.0, 0.5):
        plan = planned(folder, dft, book)
        assert len(pools[-1]) < pool_size(plan)
        pools.append(grown_pool(folder, plan, Quiet()))
        assert len(pools[-1]) == pool_size(plan)
        bought = sum(
            order.planned
            for order in campaign_orders(pools[-1], plan)
            if order.tier is Tier.DFT and order.claim.name != "SPARE"
        )
        assert bought == plan.labels(Tier.DFT, Purpose.TRAIN)
    for small, large in itertools.pairwise(pools):
        np.testing.assert_array_equal(large.positions_FA3[: len(small)], small.positions_FA3)
        np.testing.assert_array_equal(large.temperature_F[: len(small)], small.temperature_F)
    refuse_alike(pools[-1], first.recipe.sampling.threshold)
    again = pool_for(folder, METHANOL, plan, Quiet())
    np.testing.assert_array_equal(again.positions_FA3, pools[-1].positions_FA3)


def test_a_pool_that_its_book_does_not_know_keeps_its_place(folder: RunFolder) -> None:
    own = pool_for(folder, METHANOL, planned(folder, 5.0), Quiet())
    other = RunFolder.at(folder.root.with_name("other"))
    other.create()
    pool_for(other, METHANOL, planned(other, 5.0, "labels.sqlite", seed=3), Quiet())
    grown = grown_pool(folder, planned(folder, 1.0, "labels.sqlite", seed=3), Quiet())
    np.testing.assert_array_equal(grown.positions_FA3[: len(own)], own.positions_FA3)
    assert len(grown) == pool_size(planned(folder, 1.0))


@pytest.mark.parametrize("imported", [True, False])
def test_a_pool_that_is_gone_is_sampled_again_only_where_nothing_was_bought(
    folder: RunFolder, imported: bool
) -> None:
    job = Job(METHANOL.at(METHANOL.positions_A3), Method(Tier.DFT, "PBE/def2-SVP"), Purpose.TRAIN)
    label = Label(-3000.0, np.zeros((6, 3)), Provenance("program", "1", "here", 1, 1.0, 1.0))
    with Ledger(folder.ledger_url) as ledger:
        ledger.set_cap(10**9, "test")
        if imported:
            ledger.adopt([Outcome(job, label)], "a file")
        else:
            reservation = ledger.reserve([job], 10**6)
            ledger.settle(reservation, [Outcome(job, label)], 10**6)
    if imported:
        assert len(pool_for(folder, METHANOL, planned(folder, 5.0), Quiet()))
    else:
        with pytest.raises(StorageError, match=r"is missing, but labels .* were bought"):
            pool_for(folder, METHANOL, planned(folder, 5.0), Quiet())


def test_a_plan_that_sampling_can_not_follow_is_refused(folder: RunFolder) -> None:
    pool_for(folder, METHANOL, planned(folder, 5.0), Quiet())
    plan = planned(folder, 0.5, threshold=0.5)
    with pytest.raises(InputError, match=r"wants .* dft labels to train on; sampling found"):
        grown_pool(folder, plan, Quiet())
