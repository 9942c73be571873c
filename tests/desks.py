"""A run at a desk: its ledger and its book in this process, without Ray."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from forgefield.platform.book_places import BookPlace
from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.shared_labels import SharedLabels
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Job, Label, Outcome, Tier
from forgefield.storage.testing import labelled
from forgefield.storage.units import to_micro


class Desk(SharedLabels):
    """A run without Ray: its ledger and its book in this process."""

    def __init__(self, folder: Path, book: Path | None, *, required: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.sqlite")
        self.ledger.set_cap(to_micro(1000), "test")
        place = None if book is None else BookPlace(str(book), folder, 0.1, required=required)
        super().__init__(self.ledger, folder / "frames.zarr", place)
        self.open()

    def known_labels(self, jobs: Sequence[Job]) -> object:
        """As the client of the service calls it."""
        return self.known(jobs)

    def buy(
        self, jobs: Sequence[Job], core_seconds: float, host: str = "node1", wall_s: float = 0.5
    ) -> None:
        """Reserve and settle."""
        number = self.ledger.reserve(jobs, to_micro(100))
        outcomes = [on_host(labelled(job, wall_s=wall_s), host) for job in jobs]
        self.ledger.settle(number, outcomes, to_micro(core_seconds * len(jobs)))
        self.publish()

    @property
    def client(self) -> LedgerClient:
        """The same for who expects the client."""
        return cast("LedgerClient", self)


def on_host(outcome: Outcome, host: str) -> Outcome:
    assert isinstance(outcome.result, Label)
    origin = replace(outcome.result.provenance, host=host)
    return replace(outcome, result=replace(outcome.result, provenance=origin))


def order_of(jobs: Sequence[Job]) -> Order:
    return Order(deque(jobs), len(jobs), Tier.CCSD, 1.0)


def tally_of(desk: Desk) -> TierTally:
    (row,) = desk.ledger.tally()
    return row


def place_at(folder: Path, desk: Desk) -> BookPlace:
    return BookPlace(str(folder / "labels.sqlite"), desk.folder, 0.1, required=True)
