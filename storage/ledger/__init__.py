"""The ledger: who may spend, what was spent, and what was bought for it.

`ledger.py` is the way in; `reserving` and `settling` hold the two transactions that move money,
`spool`, `recovery` and `packing` what lies between a worker's result and the frame store.
"""

from forgefield.storage.ledger.entries import (
    Balance,
    Entry,
    FailureRow,
    JobState,
    OpenReservation,
    State,
    TierTally,
)
from forgefield.storage.ledger.ledger import Ledger

__all__ = [
    "Balance",
    "Entry",
    "FailureRow",
    "JobState",
    "Ledger",
    "OpenReservation",
    "State",
    "TierTally",
]
