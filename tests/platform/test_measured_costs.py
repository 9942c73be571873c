"""Which labels make the cost of a tier: paid ones, measured on this machine."""

import numpy as np
import pytest
from desks import Desk, order_of

from forgefield.platform.buying.calibrating import measurable
from forgefield.platform.planning.quoting import measured_costs
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.pools.pool import Pool
from forgefield.storage.errors import InputError
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Molecule, Purpose, Tier
from forgefield.storage.testing import CCSD, make_job


def pool_of(frames: int) -> Pool:
    shape = make_job(0).configuration
    noise = np.random.default_rng(0).normal(scale=0.1, size=(frames, 3, 3))
    molecule = Molecule("water", shape.numbers, shape.positions_A3)
    return Pool(molecule, shape.positions_A3 + noise, np.full(frames, 300.0))


def test_calibration_found_on_another_machine_is_replaced(
    desks: tuple[Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = desks
    monkeypatch.setattr("forgefield.platform.buying.calibrating.platform.node", lambda: "node1")
    pool = pool_of(30)
    jobs = list(pool.jobs(CCSD, Purpose.CALIBRATION, 0, 2))
    a.buy(jobs[:1], 20.0, host="node1")
    a.buy(jobs[1:], 70.0, host="node2")
    a.buy(list(pool.jobs(CCSD, Purpose.TRAIN, 29, 1)), 20.0)
    for threads, fresh, measured in ((2, 1, (20.0,)), (1, 2, ())):
        order = order_of(jobs)
        found = measurable([order], pool, b.client, threads)
        assert found.measured[Tier.CCSD] == measured
        assert order.planned == len(order.jobs) == 2 + fresh
        last = pool.positions_FA3[28]
        np.testing.assert_array_equal(order.jobs[2].configuration.positions_A3, last)


def test_a_replacement_is_bought_once_though_the_pool_grows(desks: tuple[Desk, Desk]) -> None:
    """As after a kill between the growth of the pool and the plan that counts on it."""
    a, b = desks
    pool = pool_of(30)
    jobs = list(pool.jobs(CCSD, Purpose.CALIBRATION, 0, 2))
    a.buy(jobs, 70.0, host="elsewhere")
    first, again = order_of(jobs), order_of(jobs)
    measurable([first], pool, b.client, 2)
    fresh = list(first.jobs)[2:]
    assert len(fresh) == 2
    b.buy(fresh, 20.0)
    measurable([again], pool_of(40), b.client, 2)
    assert {job.key() for job in list(again.jobs)[2:]} == {job.key() for job in fresh}


def test_only_paid_labels_and_measurements_of_this_machine_make_the_cost() -> None:
    def row(tier: Tier, bought: int, adopted: int, mean: float) -> TierTally:
        known = mean, float("nan"), bought, adopted
        return TierTally(tier, Purpose.CALIBRATION, bought + adopted, 0, 0, 0, 0, 0, *known)

    guess = dict.fromkeys(Tier, TierCost(1.0, 0.5, 2.0, 10**9))
    rows = [row(Tier.EMPIRICAL, 2, 0, 0.1), row(Tier.XTB, 2, 0, 0.2), row(Tier.DFT, 2, 1, 4.0)]
    rows.append(row(Tier.CCSD, 0, 2, float("nan")))
    costs = measured_costs(guess, rows, {Tier.CCSD: (20.0, 30.0), Tier.DFT: (1.0,)})
    assert (costs[Tier.CCSD].core_seconds, costs[Tier.CCSD].measured) == (25.0, 2)
    assert (costs[Tier.DFT].core_seconds, costs[Tier.DFT].measured) == (3.0, 3)
    with pytest.raises(InputError, match="ccsd"):
        measured_costs(guess, rows, {})
