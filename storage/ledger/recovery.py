"""What to do first when a run is opened again: adopt, charge, pack.

The caller holds the run lock, so nobody else is working: an open reservation without spooled
results is dead. Each step may be interrupted and done again.
"""

from dataclasses import dataclass
from pathlib import Path

from forgefield.storage.errors import TransientFailure
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frame_store.durable_store import PARTIAL_SUFFIX
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.spool import BEAT, last_beat, read_spools, remove_spool
from forgefield.storage.records import Failure


@dataclass(frozen=True, slots=True)
class Recovery:
    """Reservations adopted from the spool, reservations charged as dead, frames packed."""

    adopted: int
    charged: int
    packed: int


def recover(ledger: Ledger, store: FrameStore, spool_folder: Path | str) -> Recovery:
    """Bring ledger, store and spool into line after any kind of end of the last driver."""
    adopted = _adopt(ledger, spool_folder)
    charged = _charge_dead(ledger, spool_folder)
    for pattern in (f"*{BEAT}*", f".*{PARTIAL_SUFFIX}"):
        for left in Path(spool_folder).glob(pattern):
            left.unlink(missing_ok=True)
    return Recovery(adopted, charged, pack(ledger, store))


def close_dead(
    ledger: Ledger, folder: Path | str, reservation: int, failure: Failure, used_micro: int | None
) -> None:
    """Close the reservation of a worker that is gone, unless it settled before it went.

    What it spooled is settled as if it had done so itself. Otherwise its jobs failed, and
    `used_micro` is charged, or what its last heartbeat shows where that is None. What became of
    the jobs is for the ledger to say.
    """
    spools = {spool.reservation: spool for spool in read_spools(folder)}
    spool = spools.get(reservation)
    if spool is not None:
        ledger.settle(reservation, spool.outcomes, spool.used_micro)
    else:
        used = last_beat(folder, reservation) if used_micro is None else used_micro
        ledger.fail(reservation, failure, used)
    remove_spool(folder, reservation)


def _adopt(ledger: Ledger, folder: Path | str) -> int:
    still_open = {reservation.id for reservation in ledger.open_reservations()}
    adopted = 0
    for spool in read_spools(folder):
        if spool.reservation in still_open:
            adopted += ledger.settle(spool.reservation, spool.outcomes, spool.used_micro)
        remove_spool(folder, spool.reservation)
    return adopted


def _charge_dead(ledger: Ledger, folder: Path | str) -> int:
    reason = Failure(TransientFailure.__name__, "The driver or the worker died during this label.")
    dead = ledger.open_reservations()
    for reservation in dead:
        ledger.fail(reservation.id, reason, last_beat(folder, reservation.id))
        remove_spool(folder, reservation.id)
    return len(dead)
