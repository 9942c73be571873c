"""A run in the label books it shares: who it is there, and what it strikes in all of them."""

import uuid

from forgefield.platform.book_places import BookPlace, places_of_run
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.label_book.reconciling import Holdings, strike_withdrawn
from forgefield.storage.ledger import Ledger

IDENTITY_FACT = "run identity"


def identity_of(ledger: Ledger) -> str:
    """The run's name in label books, for good."""
    known = ledger.get_fact(IDENTITY_FACT)
    if known is None:
        known = uuid.uuid4().hex
        ledger.put_fact(IDENTITY_FACT, known)
    return str(known)


def opened_book(ledger: Ledger, place: BookPlace) -> LabelBook:
    """The book at a place, for the run of this ledger."""
    folder = RunFolder(place.folder)
    who = Run.here(identity_of(ledger), folder.root, folder.ledger_url, str(folder.spool))
    return LabelBook(place.place, who, place.least_core_seconds, place.patience_s)


def strike_in_books(ledger: Ledger, folder: RunFolder) -> None:
    """Tell the label books that the run has shared which labels it has taken back.

    The caller holds the run's lock. Raises `StorageError` after all books were tried.
    """
    trouble: Exception | None = None
    holdings = Holdings.of(ledger, folder.frames)
    for place in places_of_run(ledger, folder):
        try:
            with opened_book(ledger, place) as book:
                strike_withdrawn(book, holdings)
                book.check_out()
        except (InputError, StorageError) as error:
            trouble = error
    if trouble is not None:
        raise StorageError(
            f"Withdrawn in this run, but a label book still has it: {trouble} The run tells the "
            "book when it is next started."
        ) from trouble
