"""The actor that owns ledger and frames of a run, and the client that talks to it.

One process writes both, on the driver's node. The client turns what Ray makes of errors back into
the errors themselves, and the death of the service into `StorageError`.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from forgefield.platform.book_places import BookPlace
from forgefield.platform.buying.saved_labels import Saved
from forgefield.platform.buying.shared_labels import Asked, Known, SharedLabels
from forgefield.platform.ledger_place import check_owner
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import ForgefieldError, RunBusy, StorageError
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import Balance, JobState, TierTally
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import Recovery, close_dead, recover
from forgefield.storage.ledger.writer_lock import WriterLock
from forgefield.storage.records import Failure, Job

PATIENCE_S = 30.0
Taken = TypeVar("Taken")


class LedgerService:
    """The only process that writes the ledger and the frame store of a run."""

    def __init__(self, url: str, frames: Path, spool: Path, book: BookPlace | None = None) -> None:
        self._url, self._frames, self._spool, self._place = url, frames, spool, book

    def open(self, environment: Mapping[str, str]) -> Recovery:
        """Open ledger and store, and take up what an earlier driver left behind.

        `environment` is how the driver would connect to PostgreSQL. Not done by the constructor,
        whose errors Ray would not hand on as they are.
        """
        os.environ.update(environment)
        self._ledger = Ledger(self._url)
        check_owner(RunFolder.at(self._frames.parent), self._ledger)
        self._lock = WriterLock(self._url)
        _when_free(self._lock.acquire)
        self._store = _when_free(lambda: FrameStore.open_for_writing(self._frames))
        recovery = recover(self._ledger, self._store, self._spool)
        self._shared = SharedLabels(self._ledger, self._frames, self._place)
        self._shared.open()
        return recovery

    def call(self, name: str, *arguments: object) -> object:
        """Any method of the ledger, by name."""
        return getattr(self._ledger, name)(*arguments)

    def share(self, name: str, *arguments: object, **named: object) -> object:
        """Any method of the labels shared with other runs, by name."""
        return getattr(self._shared, name)(*arguments, **named)

    def close_dead(self, reservation: int, failure: Failure, used_micro: int | None) -> None:
        """See `forgefield.storage.ledger.recovery.close_dead`."""
        close_dead(self._ledger, self._spool, reservation, failure, used_micro)

    def pack(self) -> int:
        """Share settled labels, then move them from the inbox into the store."""
        self._lock.renew()
        self._shared.publish()
        return pack(self._ledger, self._store)


def _when_free(take: Callable[[], Taken]) -> Taken:
    """What `take` gives; the service of a driver that was just killed may hold it a bit longer."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return take()
        except RunBusy:
            if time.monotonic() > end:
                raise
            time.sleep(1)


class LedgerClient:
    """The ledger as the driver sees it; methods as in `forgefield.storage.ledger.Ledger`."""

    def __init__(
        self, url: str, frames: Path, spool: Path, name: str, book: BookPlace | None = None
    ) -> None:
        here = ray.get_runtime_context().get_node_id()
        options = ray.remote(LedgerService).options(
            name=name,
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        )
        self.service: ActorHandle[LedgerService] = options.remote(url, frames, spool, book)

    def open(self) -> Recovery:
        """Open, and recover what an earlier driver left."""
        postgres = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        return cast("Recovery", _answer(self.service.open.remote(postgres)))

    def stop(self) -> None:
        """End the service; what it committed stays."""
        ray.kill(self.service)

    def reserve(self, jobs: Sequence[Job], amount_micro: int) -> int:
        """Reserve money for jobs."""
        return cast("int", _answer(self.service.call.remote("reserve", jobs, amount_micro)))

    def extend(self, reservation: int, amount_micro: int) -> None:
        """Reserve more for a slow label."""
        _answer(self.service.call.remote("extend", reservation, amount_micro))

    def close_dead(self, reservation: int, failure: Failure, used_micro: int | None) -> None:
        """Close the reservation of a worker that is gone; `job_states` tells what became of it."""
        _answer(self.service.close_dead.remote(reservation, failure, used_micro))

    def balance(self) -> Balance:
        """Cap, spent and reserved."""
        return cast("Balance", _answer(self.service.call.remote("balance")))

    def charged(self, reservation: int) -> int:
        """What was charged for a reservation, in micro core-seconds."""
        return cast("int", _answer(self.service.call.remote("charged", reservation)))

    def tally(self) -> tuple[TierTally, ...]:
        """Labels and money by tier and purpose."""
        return cast("tuple[TierTally, ...]", _answer(self.service.call.remote("tally")))

    def job_states(self, keys: Sequence[str]) -> Mapping[str, JobState]:
        """Where jobs stand."""
        return cast("Mapping[str, JobState]", _answer(self.service.call.remote("job_states", keys)))

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:
        """Look jobs up in the label book; see `SharedLabels.ask`."""
        return cast("Asked", _answer(self.service.share.remote("ask", jobs, claim=claim)))

    def known_labels(self, jobs: Sequence[Job]) -> tuple[Known, ...]:
        """What the label book knows of jobs; nothing is booked."""
        return cast("tuple[Known, ...]", _answer(self.service.share.remote("known", jobs)))

    def release(self, keys: Sequence[str] | None = None) -> None:
        """Leave claimed jobs, by default all, to other runs."""
        _answer(self.service.share.remote("release", keys))

    def book_news(self) -> tuple[str, ...]:
        """What people should be told about the label book, each once."""
        return cast("tuple[str, ...]", _answer(self.service.share.remote("news")))

    def saved(self) -> Saved:
        """What the run found in the label book so far."""
        return cast("Saved", _answer(self.service.share.remote("saved")))

    def set_cap(self, cap_micro: int, reason: str) -> None:
        """Set what may be spent."""
        _answer(self.service.call.remote("set_cap", cap_micro, reason))

    def pack(self) -> None:
        """Move settled frames into the store, and wait for it."""
        _answer(self.service.pack.remote())

    def pack_soon(self) -> None:
        """The same without waiting."""
        self.service.pack.remote()


def _answer(reference: "ray.ObjectRef[object]") -> object:
    try:
        answer: object = ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ForgefieldError):
            raise error.cause from None
        raise
    except RayError as error:
        raise StorageError(
            f"The ledger service died or can't start ({type(error).__name__}). Run the same "
            "command again: it goes on from what was settled."
        ) from error
    return answer
