"""Long sequences in pieces: what fits into one database statement, or into memory at once."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

ITEMS_A_QUERY = 500
Item = TypeVar("Item")


def parts(items: Sequence[Item], size: int = ITEMS_A_QUERY) -> Iterator[Sequence[Item]]:
    """`items` in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
