"""What a run has saved by labels that it found in the label book."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgefield.platform.screen.wording import three_digits
from forgefield.storage.label_book import Found
from forgefield.storage.ledger import Ledger
from forgefield.storage.units import from_micro

FACT = "label book"


@dataclass(frozen=True, slots=True)
class Saved:
    """Labels of a run that were found in the book, and what they have cost elsewhere."""

    labels: int = 0
    core_seconds: float = 0.0


def saved_labels(ledger: Ledger) -> Saved:
    """What a run found in the book so far."""
    fact = ledger.get_fact(FACT)
    return Saved(**fact) if fact else Saved()


def count_saved(ledger: Ledger, labels: Sequence[Found]) -> None:
    """Add labels that were found; right after they are booked, so a crash can lose the count."""
    before = saved_labels(ledger)
    more = sum(from_micro(each.cost_micro) for each in labels)
    now = {"labels": before.labels + len(labels), "core_seconds": before.core_seconds + more}
    ledger.put_fact(FACT, now)


def saved_words(labels: int, core_seconds: float) -> str:
    """`saved 12 labels, 143 core-s`."""
    count = "1 label" if labels == 1 else f"{labels:,} labels"
    return f"saved {count}, {three_digits(core_seconds)} core-s"
