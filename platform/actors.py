"""The Ray actors: one service for ledger and frames, and workers that compute labels.

A worker spools its result to a file before it settles, so a result outlives the death of the
ledger service, of the driver and of Ray; settling twice is a no-op in the ledger.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.actor import ActorHandle

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import LabelError, RunBusy
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger
from forgefield.storage.packing import pack
from forgefield.storage.records import Configuration, Failure, Job, Label, Molecule, Outcome
from forgefield.storage.recovery import Recovery, recover
from forgefield.storage.spool import Heartbeat, remove_spool, write_spool
from forgefield.storage.units import to_micro

PATIENCE_S = 30.0

logger = logging.getLogger(__name__)


class LedgerService:
    """The only process that writes the ledger and the frame store of a run."""

    def __init__(self, url: str, frames: Path, spool: Path) -> None:
        self._ledger = Ledger(url)
        self._store = _open_when_free(frames)
        self._spool = spool

    def ready(self) -> bool:
        """Answers once ledger and store are open."""
        return True

    def recover(self) -> Recovery:
        """Take up what an earlier driver left behind."""
        return recover(self._ledger, self._store, self._spool)

    def call(self, name: str, *arguments: object) -> object:
        """Any method of the ledger, by name."""
        return getattr(self._ledger, name)(*arguments)

    def pack(self) -> int:
        """Move settled frames from the inbox into the store."""
        return pack(self._ledger, self._store)


def _open_when_free(frames: Path) -> FrameStore:
    """Open the store; the service of a driver that was just killed may hold it a moment longer."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return FrameStore.open_for_writing(frames)
        except RunBusy:
            if time.monotonic() > end:
                raise
            time.sleep(1)


@dataclass(frozen=True, slots=True)
class LabelJobs:
    """All that a worker needs to know; `memory_bytes` is what one label may hold."""

    method: str
    molecule: Molecule
    threads: int
    memory_bytes: int
    spool: Path


@dataclass(frozen=True, slots=True)
class Worked:
    """What a worker did with one reservation; the frames themselves went to the ledger."""

    done: int
    failures: tuple[tuple[str, Failure], ...]
    used: float


class LabelWorker:
    """Computes labels of one method, one reservation at a time."""

    def __init__(self, work: LabelJobs, ledger: "ActorHandle[LedgerService]") -> None:
        self._work = work
        self._ledger = ledger
        self._labeler = labeler_for(work.method, memory_bytes=work.memory_bytes)
        self._labeler.available()
        self._labeler.prepare(work.molecule)
        if self._labeler.batch > 1:
            self._load_libraries()

    def _load_libraries(self) -> None:
        """One label of a cheap tier, thrown away: the first is slow by a hundred others."""
        molecule = self._work.molecule
        start = Configuration(
            molecule.name,
            molecule.numbers,
            molecule.positions_A3,
            molecule.charge,
            molecule.multiplicity,
        )
        _label_or_failure(self._labeler, start, self._work.threads)

    def ready(self) -> bool:
        """Answers once the libraries are loaded."""
        return True

    def label(self, reservation: int, jobs: Sequence[Job]) -> Worked:
        """Compute, spool, settle; the cost is threads × wall seconds."""
        threads, spool = self._work.threads, self._work.spool
        start = time.perf_counter()
        with Heartbeat(spool, reservation, threads):
            outcomes = [_attempt(self._labeler, job, threads) for job in jobs]
            used = threads * (time.perf_counter() - start)
        write_spool(spool, reservation, outcomes, to_micro(used))
        ray.get(self._ledger.call.remote("settle", reservation, outcomes, to_micro(used)))
        remove_spool(spool, reservation)
        failures = tuple((o.job.key(), o.result) for o in outcomes if isinstance(o.result, Failure))
        return Worked(len(outcomes) - len(failures), failures, used)


def _attempt(labeler: Labeler, job: Job, threads: int) -> Outcome:
    return Outcome(job, _label_or_failure(labeler, job.configuration, threads))


def _label_or_failure(
    labeler: Labeler, configuration: Configuration, threads: int
) -> Label | Failure:
    try:
        return labeler.label(configuration, threads)
    except LabelError as error:
        return Failure(type(error).__name__, str(error))
    except Exception as error:
        logger.exception("label of %s failed unexpectedly", configuration.key())
        return Failure("LabelError", f"{type(error).__name__}: {error}"[:500])
