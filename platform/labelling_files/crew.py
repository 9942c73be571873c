"""The Ray side of labelling a file: one worker a slot, handed one batch at a time.

Nothing else about labelling a file knows of Ray. A worker that dies is replaced; a slot where none
can be started any more is given up, the last one with an error.
"""

import itertools
import time
from collections.abc import Sequence

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from forgefield.platform.buying.workers import FileJobs, FileLabelWorker, Worked, worked_of
from forgefield.platform.planning.throughput import thread_variables
from forgefield.storage.errors import ForgefieldError, StorageError
from forgefield.storage.ledger.spool import read_spool
from forgefield.storage.records import Job
from forgefield.storage.units import from_micro

LOAD_PATIENCE_S = 600.0


class Crew:
    """Workers by place (the index of their slot)."""

    def __init__(
        self, work: FileJobs, strategies: Sequence[PlacementGroupSchedulingStrategy]
    ) -> None:
        self._work = work
        self._strategies = strategies
        self._names = itertools.count(1)
        self._batches = itertools.count(time.time_ns())
        self._workers: dict[int, ActorHandle[FileLabelWorker]] = {}
        self._at_work: dict[ray.ObjectRef[Worked], tuple[int, int]] = {}

    def start(self, most: int) -> None:
        """Start up to `most` workers and wait until their libraries are loaded."""
        places = range(min(most, len(self._strategies)))
        loads = {place: self._hire(place) for place in places}
        for place, load in loads.items():
            self._await(place, load)

    @property
    def places(self) -> list[int]:
        """Places that have a worker."""
        return sorted(self._workers)

    @property
    def idle(self) -> list[int]:
        """Places whose worker has nothing to do."""
        busy = {place for place, _ in self._at_work.values()}
        return sorted(set(self._workers) - busy)

    def send(self, place: int, jobs: Sequence[Job]) -> None:
        """Hand a batch to an idle worker, under a number that no batch of any driver had."""
        number = next(self._batches)
        reply = self._workers[place].label.remote(number, jobs)
        self._at_work[reply] = (place, number)

    def finished(self, timeout_s: float) -> list[tuple[int, Worked | None]]:
        """Who has finished, and what; `None` for a worker that died before its results were safe.

        A dead worker has been replaced if that was possible. Raises the worker's own error where
        it could not write its results.
        """
        if not self._at_work:
            return []
        ready, _ = ray.wait(list(self._at_work), num_returns=1, timeout=timeout_s)
        return [self._result(reply) for reply in ready]

    def _result(self, reply: "ray.ObjectRef[Worked]") -> tuple[int, Worked | None]:
        place, number = self._at_work.pop(reply)
        try:
            return place, ray.get(reply)
        except RayTaskError as error:
            raise _own(error) from error
        except RayError:
            self._dismiss(place)
            self._await(place, self._hire(place))
            left = read_spool(self._work.folder, number)
            if left is None:
                return place, None
            return place, worked_of(left.outcomes, from_micro(left.used_micro))

    def _hire(self, place: int) -> "ray.ObjectRef[bool]":
        options = ray.remote(FileLabelWorker).options(
            name=f"labels, slot {place} (worker {next(self._names)} of {self._work.folder})",
            num_cpus=0,
            scheduling_strategy=self._strategies[place],
            runtime_env={"env_vars": thread_variables(self._work.threads)},
        )
        self._workers[place] = options.remote(self._work)
        return self._workers[place].load.remote()

    def _await(self, place: int, load: "ray.ObjectRef[bool]") -> None:
        try:
            ray.get(load, timeout=LOAD_PATIENCE_S)
        except RayTaskError as error:
            raise _own(error) from error
        except RayError as error:
            self._dismiss(place)
            if not self._workers:
                raise StorageError(
                    "No worker can be started any more; see Ray's dashboard for why. Then run the "
                    "same command again: finished labels are kept."
                ) from error

    def _dismiss(self, place: int) -> None:
        worker = self._workers.pop(place, None)
        if worker is not None:
            ray.kill(worker)


def _own(error: RayTaskError) -> Exception:
    return error.cause if isinstance(error.cause, ForgefieldError) else error
