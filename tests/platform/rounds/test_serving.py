"""Slots change hands between purchases, whatever their workers were at."""

import time
from collections import deque
from pathlib import Path

from spring_campaign import PRICES, LocalLedger, Springs, make_campaign, recipe_with

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.records import Tier


def test_a_slot_whose_worker_loaded_in_vain_can_be_lent(tmp_path: Path) -> None:
    """The first slot labels everything while the second one's worker still loads."""
    folder, plan, pool = make_campaign(tmp_path, "80ccsd", recipe_with())
    ledger = LocalLedger(folder, lambda _: None)
    crew = Springs(2, ledger, loads_s=0.2)
    try:
        ledger.set_cap(plan.cap_micro, "test")
        dispatcher = Dispatcher(crew, ledger, plan.recipe.labels, lambda _: None)  # type: ignore[arg-type]
        jobs = deque(Supply.of(pool, plan, lambda _: ()).jobs[Tier.CCSD][:2])
        dispatcher.buy([Order(jobs, 2, Tier.CCSD, PRICES[Tier.CCSD])])
        assert not any(1 in places for places in crew.seen)
        end = time.monotonic() + 10
        while not dispatcher.withdraw(1):
            assert time.monotonic() < end, "it is never given back"
            time.sleep(0.05)
    finally:
        crew.close()
        ledger.close()
