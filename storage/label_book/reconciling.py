"""Bringing a book into line with what a run's ledger and frame store say, when a run is opened.

Labels that the run has withdrawn are struck, claims that an earlier driver left are given up,
labels that it settled but could not publish are published; and what others struck is withdrawn
here. Each step may be done again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.reading import read_everything
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.label_book.book import LabelBook
from forgefield.storage.label_book.publishing import Held, Withdrawn
from forgefield.storage.ledger import Ledger
from forgefield.storage.settled_frames import from_stored, to_stored
from forgefield.storage.units import from_micro


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Claims given up, labels published late, labels struck."""

    released: int
    published: int
    struck: int


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """All labels that a run has settled, packed or not: those that stand, those it withdrew."""

    standing: Frames
    withdrawn: Frames

    @classmethod
    def of(cls, ledger: Ledger, store: Path) -> Self:
        """As ledger and store say; the ledger's withdrawals count, packed or not."""
        inbox = ledger.inbox()
        parts = [part for part in (_stored(store), from_stored(inbox)) if len(part)]
        frames = Frames.concatenate(parts) if parts else Frames.empty()
        taken_back = ledger.withdrawals()
        withdrawn_F = np.isin(frames.seq_F, [each.frame_seq for each in taken_back])
        notes_F = np.isin(frames.seq_F, [each.seq for each in taken_back])
        return cls(frames.select(~withdrawn_F & ~notes_F), frames.select(withdrawn_F))


def reconcile(book: LabelBook, holdings: Holdings) -> Reconciled:
    """See the module; the caller drives the run, so nothing of it is in flight."""
    struck = strike_withdrawn(book, holdings)
    published = _publish(book, holdings.standing)
    return Reconciled(book.release(), published, struck)


def strike_withdrawn(book: LabelBook, holdings: Holdings) -> int:
    """Strike those labels, and no other of their jobs, that the run has withdrawn; how many."""
    return book.strike(_held(holdings.withdrawn))


def withdraw_struck(
    ledger: Ledger, holdings: Holdings, struck: Sequence[Withdrawn]
) -> dict[str, int]:
    """Withdraw those labels that the run found in the book and that were struck there since.

    How many, by the name of the run that had published them. Their jobs may be bought again.
    """
    standing = set(_held(holdings.standing))
    wrong: defaultdict[str, set[str]] = defaultdict(set)
    for each in struck:
        if each.label in standing:
            wrong[each.source].add(each.label.key)
    for source, keys in wrong.items():
        ledger.withdraw(sorted(keys), f"withdrawn in the label book, where run {source} put it")
    return {source: len(keys) for source, keys in wrong.items()}


def _publish(book: LabelBook, standing: Frames) -> int:
    """Publish what the book has no label for; claims of cheap ones are fulfilled as well."""
    keys = hex_keys(standing.key_F)
    known = book.known_keys(keys)
    claimed = book.claimed_keys()
    dear_F = standing.cost_F >= from_micro(book.least_micro)
    wanted = [
        at for at, key in enumerate(keys) if key not in known and (dear_F[at] or key in claimed)
    ]
    return book.publish([to_stored(standing, at) for at in wanted])


def _held(frames: Frames) -> list[Held]:
    answers = zip(
        hex_keys(frames.key_F), frames.energy_F.tolist(), frames.wall_F.tolist(), strict=True
    )
    return [Held.of(*answer) for answer in answers]


def _stored(store: Path) -> Frames:
    """All rows of the store, withdrawn ones too; none where it isn't there yet."""
    try:
        return read_everything(store)
    except StorageError:
        if store.exists():
            raise
        return Frames.empty()
