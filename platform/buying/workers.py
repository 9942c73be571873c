"""Ray actors that compute labels.

A worker spools its result to a file before it settles, so a result outlives the death of the
ledger service, of the driver and of Ray; settling twice is a no-op in the ledger.
"""

import logging
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray
from ray.actor import ActorHandle

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.platform.buying.ledger_service import LedgerService
from forgefield.platform.stand_ins.labelers import StandIn, charge, stand_in_or_real
from forgefield.storage.errors import LabelError, StorageError
from forgefield.storage.ledger.spool import Heartbeat, remove_spool, write_spool
from forgefield.storage.records import Configuration, Failure, Job, Label, Molecule, Outcome, Tier
from forgefield.storage.units import to_micro

HYDROGEN = Molecule("hydrogen", (1, 1), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]))

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LabelJobs:
    """All that a worker needs to know; `memory_bytes` is what one label may hold.

    `stand_in` says where the labels of `tier` come from or what they are charged, if not as ever.
    """

    method: str
    molecule: Molecule
    threads: int
    memory_bytes: int
    spool: Path
    tier: Tier = Tier.CCSD
    stand_in: StandIn | None = None


@dataclass(frozen=True, slots=True)
class FileJobs:
    """What a worker needs to label a file: its molecules by name; results go to `folder`."""

    method: str
    molecules: Mapping[str, Molecule]
    threads: int
    memory_bytes: int
    folder: Path


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
        _refuse_far_away(self._work.spool, "Put the run", "--workdir")
        work = self._work
        self._labeler = stand_in_or_real(work.method, work.tier, work.stand_in, work.memory_bytes)
        self._labeler.available()
        self._labeler.prepare(work.molecule)
        self._throw_away_one()
        return True

    def _throw_away_one(self) -> None:
        """One label, thrown away: the first loads the libraries, which nobody shall pay for.

        Of an expensive method it is one of H2, which takes a moment.
        """
        molecule = self._work.molecule if self._labeler.batch > 1 else HYDROGEN
        start = molecule.at(molecule.positions_A3)
        _label_or_failure(self._labeler, start, self._work.threads)

    def label(self, reservation: int, jobs: Sequence[Job]) -> Worked:
        """Compute, spool, settle; the cost is threads × wall seconds, or a stated price."""
        threads, spool = self._work.threads, self._work.spool
        start = time.perf_counter()
        with Heartbeat(spool, reservation, threads):
            outcomes = [_attempt(self._labeler, job, threads) for job in jobs]
            measured = threads * (time.perf_counter() - start)
        used = charge(self._labeler, jobs, measured)
        _spool_if_possible(spool, reservation, outcomes, to_micro(used))
        settling = self._ledger.call.remote("settle", reservation, outcomes, to_micro(used))
        if ray.get(settling):  # closed before: what was spooled is for the next recovery
            remove_spool(spool, reservation)
        return worked_of(outcomes, used)


class FileLabelWorker:
    """Computes labels of one method for any of a file's molecules; no money, no ledger.

    A batch's results are a file before they are reported, and that file is all that counts.
    """

    def __init__(self, work: FileJobs) -> None:
        self._work = work
        self._prepared: set[str] = set()

    def load(self) -> bool:
        """Load the method's libraries; raises as `LabelWorker.load` does."""
        _refuse_far_away(self._work.folder, "Write the labels", "-o")
        self._labeler = labeler_for(self._work.method, memory_bytes=self._work.memory_bytes)
        self._labeler.available()
        return True

    def label(self, number: int, jobs: Sequence[Job]) -> Worked:
        """Compute a batch and write its results durably; raises `StorageError` if it can't."""
        start = time.perf_counter()
        outcomes = [self._attempt(job) for job in jobs]
        used = self._work.threads * (time.perf_counter() - start)
        try:
            write_spool(self._work.folder, number, outcomes, to_micro(used))
        except OSError as error:
            raise StorageError(
                f"Can't write to {self._work.folder}: {error.strerror}. Mend that, then run the "
                "same command again: it goes on from the labels that are there."
            ) from error
        return worked_of(outcomes, used)

    def _attempt(self, job: Job) -> Outcome:
        name = job.configuration.molecule
        if name not in self._prepared:
            self._labeler.prepare(self._work.molecules[name])
            self._prepared.add(name)
        return _attempt(self._labeler, job, self._work.threads)


def _refuse_far_away(folder: Path, advice: str, option: str) -> None:
    if not folder.is_dir():
        raise StorageError(
            f"The node {platform.node()} doesn't see {folder}. {advice} on a file system that all "
            f"nodes share ({option})."
        )


def worked_of(outcomes: Sequence[Outcome], used: float) -> Worked:
    """The summary of outcomes that took `used` core-seconds."""
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
