"""What to do first when a run is opened again: adopt, charge, pack.

The caller holds the run lock, so nobody else is working: an open reservation without spooled
results is dead. Each step may be interrupted and done again. No spooled result is removed before
its labels are booked; one that can't be booked is set aside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError

from forgefield.storage.errors import InputError, StorageError, TransientFailure
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frame_store.durable_store import PARTIAL_SUFFIX
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.spool import (
    BEAT,
    Spool,
    count_set_aside,
    last_beat,
    read_spool,
    read_spools,
    remove_beat,
    remove_spool,
    set_aside,
)
from forgefield.storage.records import Failure

DIED = Failure(TransientFailure.__name__, "The driver or the worker died during this label.")


@dataclass(frozen=True, slots=True)
class Recovery:
    """Reservations adopted from the spool, reservations charged as dead, frames packed.

    `set_aside` counts spooled results that could not be booked; they lie beside the others as
    `….damaged`.
    """

    adopted: int
    charged: int
    packed: int
    set_aside: int = 0


def recover(ledger: Ledger, store: FrameStore, spool_folder: Path | str) -> Recovery:
    """Bring ledger, store and spool into line after any kind of end of the last driver."""
    damaged = count_set_aside(spool_folder)
    adopted = _adopt(ledger, spool_folder)
    more, charged = _close_dead(ledger, spool_folder)
    late = sum(_take_late(ledger, spool_folder, spool) for spool in read_spools(spool_folder))
    for pattern in (f"*{BEAT}*", f".*{PARTIAL_SUFFIX}"):
        for left in Path(spool_folder).glob(pattern):
            left.unlink(missing_ok=True)
    damaged = count_set_aside(spool_folder) - damaged
    return Recovery(adopted + more + late, charged, pack(ledger, store), damaged)


def close_dead(
    ledger: Ledger, folder: Path | str, reservation: int, failure: Failure, used_micro: int | None
) -> None:
    """Close the reservation of a worker that is gone, unless it settled before it went.

    What it spooled is settled as if it had done so itself. Otherwise its jobs failed, and
    `used_micro` is charged, or what its last heartbeat shows where that is None. What became of
    the jobs is for the ledger to say.
    """
    if not _settled(ledger, folder, reservation):
        used = last_beat(folder, reservation) if used_micro is None else used_micro
        ledger.fail(reservation, failure, used)
        remove_beat(folder, reservation)
    late = read_spool(folder, reservation)
    if late is not None:
        _take_late(ledger, folder, late)


def _adopt(ledger: Ledger, folder: Path | str) -> int:
    still_open = {reservation.id for reservation in ledger.open_reservations()}
    spooled = [spool.reservation for spool in read_spools(folder)]
    return sum(_settled(ledger, folder, number) for number in spooled if number in still_open)


def _close_dead(ledger: Ledger, folder: Path | str) -> tuple[int, int]:
    """Close what is open; how many a last look found finished, and how many are charged."""
    finished, dead = 0, ledger.open_reservations()
    for reservation in dead:
        if _settled(ledger, folder, reservation.id):
            finished += 1
            continue
        ledger.fail(reservation.id, DIED, last_beat(folder, reservation.id))
        remove_beat(folder, reservation.id)
    return finished, len(dead) - finished


def _settled(ledger: Ledger, folder: Path | str, reservation: int) -> bool:
    """Whether a reservation was closed with what its worker spooled."""
    spool = read_spool(folder, reservation)
    if spool is None:
        return False

    def settle() -> bool:
        return ledger.settle(reservation, spool.outcomes, spool.used_micro)

    settled = _booked(folder, reservation, settle)
    if settled:
        remove_spool(folder, reservation)
    return settled


def _take_late(ledger: Ledger, folder: Path | str, spool: Spool) -> bool:
    """Adopt, at no cost, what a worker finished after its reservation was closed."""
    number = spool.reservation

    def adopt() -> bool:
        late = ledger.late_labels(number, spool.outcomes)
        if late.outcomes:
            ledger.adopt(late.outcomes, f"finished after reservation {number} was closed")
        if not late.waits:
            remove_spool(folder, number)
        return bool(late.outcomes)

    return _booked(folder, number, adopt)


def _booked(folder: Path | str, reservation: int, book: Callable[[], bool]) -> bool:
    """What `book` says; False, and the spool set aside, where the outcomes are to blame."""
    try:
        return book()
    except StorageError as error:
        if error.__cause__ is not None and not isinstance(
            error.__cause__, (DataError, IntegrityError)
        ):
            raise
    except (InputError, ValueError, TypeError, AttributeError, ArithmeticError):
        pass
    set_aside(folder, reservation)
    return False
