"""The ledger: who may spend, what was spent, and what was bought for it.

`ledger.py` is the way in; `reserving` and `settling` hold the two transactions that move money,
`adopting` and `withdrawing` those that don't; `database` says how any of them happens once, on
SQLite and on PostgreSQL. `spool`, `recovery` and `packing` are what lies between a worker's result
and the frame store, `invariants` the audit.
"""

from forgefield.storage.ledger.entries import (
    Balance,
    Entry,
    FailureRow,
    JobState,
    OpenReservation,
    Overview,
    State,
    TierTally,
    Withdrawal,
)
from forgefield.storage.ledger.ledger import Ledger

__all__ = [
    "Balance",
    "Entry",
    "FailureRow",
    "JobState",
    "Ledger",
    "OpenReservation",
    "Overview",
    "State",
    "TierTally",
    "Withdrawal",
]
