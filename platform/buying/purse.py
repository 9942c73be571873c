"""What may still be reserved, without asking the ledger before each decision.

The ledger has the last word: what it refuses isn't bought, and a decision to buy nothing is never
taken on a guess. In between, the purse follows what this dispatcher reserves and what its workers
settle, to the micro core-second; others who spend from the same ledger show when it is asked.
"""

from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.storage.units import from_micro


class Purse:
    """Micro core-seconds neither spent nor reserved, as far as is known."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger
        self._left_micro = 0
        self.is_guess = True

    @property
    def left(self) -> float:
        """Core-seconds left."""
        return from_micro(self._left_micro)

    def ask(self) -> None:
        """Take what the ledger says."""
        self._left_micro = self._ledger.balance().left_micro
        self.is_guess = False

    def reserved(self, micro: int) -> None:
        """So much was set aside."""
        self._left_micro -= micro
        self.is_guess = True

    def settled(self, micro: int, used_micro: int) -> None:
        """A reservation was closed; an overrun is not charged."""
        self._left_micro += micro - min(micro, used_micro)
        self.is_guess = True
