"""Ray actors that compute labels.

A worker spools its result to a file before it settles, so a result outlives the death of the
ledger service, of the driver and of Ray; settling twice is a no-op in the ledger.
"""

import logging
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.actor import ActorHandle

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.platform.ledger_service import LedgerService
from forgefield.storage.errors import LabelError, StorageError
from forgefield.storage.records import Configuration, Failure, Job, Label, Molecule, Outcome
from forgefield.storage.spool import Heartbeat, remove_spool, write_spool
from forgefield.storage.units import to_micro

logger = logging.getLogger(__name__)


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

    def load(self) -> bool:
        """Load the method's libraries; raises `MissingProgram`, or `StorageError` if far away."""
        if not self._work.spool.is_dir():
            raise StorageError(
                f"The node {platform.node()} doesn't see {self._work.spool}. Put the run on a file "
                "system that all nodes share (--workdir)."
            )
        self._labeler = labeler_for(self._work.method, memory_bytes=self._work.memory_bytes)
        self._labeler.available()
        self._labeler.prepare(self._work.molecule)
        if self._labeler.batch > 1:
            self._throw_away_one()
        return True

    def _throw_away_one(self) -> None:
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

    def label(self, reservation: int, jobs: Sequence[Job]) -> Worked:
        """Compute, spool, settle; the cost is threads × wall seconds."""
        threads, spool = self._work.threads, self._work.spool
        start = time.perf_counter()
        with Heartbeat(spool, reservation, threads):
            outcomes = [_attempt(self._labeler, job, threads) for job in jobs]
            used = threads * (time.perf_counter() - start)
        _spool_if_possible(spool, reservation, outcomes, to_micro(used))
        ray.get(self._ledger.call.remote("settle", reservation, outcomes, to_micro(used)))
        remove_spool(spool, reservation)
        failures = tuple((o.job.key(), o.result) for o in outcomes if isinstance(o.result, Failure))
        return Worked(len(outcomes) - len(failures), failures, used)


def _spool_if_possible(
    spool: Path, reservation: int, outcomes: Sequence[Outcome], used_micro: int
) -> None:
    """A full disk must not cost a label that the ledger can still take."""
    try:
        write_spool(spool, reservation, outcomes, used_micro)
    except (OSError, StorageError):
        logger.exception("could not spool reservation %d", reservation)


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
