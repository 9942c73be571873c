"""A buyer over made springs, for tests of what happens between purchases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spring_campaign import (
    LentSlot,
    LocalLedger,
    Quiet,
    Springs,
    make_campaign,
    recipe_with,
)

from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.records import Job, Tier


@dataclass
class Scene:
    """A buyer's parts without a thinker."""

    ledger: LocalLedger
    crew: Springs
    phase: Labelling
    jobs: Sequence[Job]

    def close(self) -> None:
        """End the threads and leave the ledger."""
        self.crew.close()
        self.ledger.close()


def scene_with(
    root: Path, crew_of: Callable[[LocalLedger], Springs], ledger_of: Any = None
) -> Scene:
    """A buyer of a made campaign in `root`; `ledger_of` may wrap the ledger that it sees."""
    folder, plan, pool = make_campaign(root, "80ccsd", recipe_with())
    ledger = LocalLedger(folder, lambda _: None)
    ledger.set_cap(plan.cap_micro, "test")
    seen, crew = ledger_of(ledger) if ledger_of else ledger, crew_of(ledger)
    box: list[Labelling] = []

    def watch(_: object) -> None:
        for listener in box[0].listeners:
            listener()

    dispatcher = Dispatcher(crew, seen, plan.recipe.labels, watch)
    slots: Any = [LentSlot(index, crew) for index in range(crew.count)]
    box.append(Labelling(dispatcher, seen, Quiet(), 1, slots))
    return Scene(ledger, crew, box[0], Supply.of(pool, plan, lambda _: ()).jobs[Tier.CCSD])
