"""Taking labels of a run back, by whoever found that they are wrong."""

from collections.abc import Sequence

from forgefield.platform.buying.run_books import strike_in_books
from forgefield.platform.ledger_place import writing_ledger
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger.packing import pack
from forgefield.storage.run_lock import RunLock


def withdraw_labels(folder: RunFolder, names: Sequence[str], reason: str) -> int:
    """Withdraw labels by job keys or sequence numbers, and tell the frame store; how many.

    Raises `RunBusy` while the run is being driven, `InputError` for a label that isn't there.
    """
    with (
        RunLock(folder.root),
        writing_ledger(folder) as ledger,
        FrameStore.open_for_writing(folder.frames) as store,
    ):
        count = ledger.withdraw(ledger.keys_of(names), reason)
        pack(ledger, store)
        strike_in_books(ledger, folder)
    return count
