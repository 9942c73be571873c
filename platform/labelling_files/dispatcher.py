"""Keeps every worker busy with the next frames of its own run, until all frames are tried.

A worker gets one contiguous run of the order, so that the frames it labels resemble each other;
one that has finished its run takes the latter half of the longest that is left. Cheap labels go in
batches. What a worker had in hand when it died is tried again, frame by frame, a few times. No
single failure stops the rest; a wave of them does.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from forgefield.labelers.ordering import contiguous_runs
from forgefield.platform.buying.purchasing import batch_size, is_wave, is_worth_retrying
from forgefield.platform.labelling_files.time_to_go import CostSpread, TimeToGo
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import WaveOfFailures
from forgefield.storage.records import Failure, Job

if TYPE_CHECKING:
    from forgefield.platform.buying.workers import Worked

POLL_S = 0.5
DIED = Failure("TransientFailure", "the worker died, perhaps out of memory")
BLAMELESS = "BadConfiguration"
"""A failure that says something of the frame alone, and nothing of the method or the machine."""


class Workers(Protocol):
    """What is needed of a `Crew`."""

    @property
    def places(self) -> list[int]:
        """Places that have a worker."""

    @property
    def idle(self) -> list[int]:
        """Places whose worker has nothing to do."""

    def send(self, place: int, jobs: Sequence[Job]) -> None:
        """Hand over a batch."""

    def finished(self, timeout_s: float) -> "list[tuple[int, Worked | None]]":
        """Who has finished, and what."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Labels of this call so far, of all that it has to make."""

    done: int
    failed: int
    total: int
    to_go: TimeToGo | None


@dataclass(slots=True)
class Dispatcher:
    """One call's labels; `guesses` are core-seconds by molecule, `threads` those of a worker."""

    workers: Workers
    guesses: Mapping[str, float]
    threads: int
    watch: Callable[[Progress], None]
    settings: LabelSettings = field(default_factory=LabelSettings)
    failures: dict[str, Failure] = field(default_factory=dict)
    done: int = 0
    core_seconds: float = 0.0
    _runs: dict[int, deque[Job]] = field(default_factory=dict)
    _in_hand: dict[int, tuple[Job, ...]] = field(default_factory=dict)
    _alone: set[str] = field(default_factory=set)
    _attempts: Counter[str] = field(default_factory=Counter)
    _spread: CostSpread = field(default_factory=CostSpread)
    _stopping: bool = False
    _wave: WaveOfFailures | None = None

    def stop(self) -> int:
        """Finish what is in hand and hand out no more; the labels that are waited for."""
        self._stopping = True
        return sum(map(len, self._in_hand.values()))

    def run(self, jobs: Sequence[Job]) -> None:
        """Label all jobs in this order; raises `WaveOfFailures` after what is in hand."""
        places = self.workers.places
        runs = contiguous_runs([self._guess(job) for job in jobs], len(places))
        self._runs = {p: deque() for p in places}
        self._runs |= {p: deque(jobs[run.start : run.stop]) for p, run in zip(places, runs)}  # noqa: B905
        self._tell(len(jobs))
        while True:
            self._hand_out()
            if not self._in_hand:
                break
            for place, worked in self.workers.finished(POLL_S):
                self._take(place, worked)
            self._tell(len(jobs))
        if self._wave is not None:
            raise self._wave

    def _hand_out(self) -> None:
        if self._stopping or self._wave is not None:
            return
        for place in self.workers.idle:
            batch = self._next_batch(self._run_for(place))
            if batch:
                self._in_hand[place] = batch
                self.workers.send(place, batch)

    def _run_for(self, place: int) -> deque[Job]:
        """The run of a worker; an empty one is filled with half of the longest."""
        own = self._runs.setdefault(place, deque())
        longest = max(self._runs.values(), key=len)
        if not own and longest:
            orphaned = not any(self._runs.get(p) is longest for p in self.workers.places)
            for _ in range(len(longest) if orphaned else -(-len(longest) // 2)):
                own.appendleft(longest.pop())
        return own

    def _next_batch(self, run: deque[Job]) -> tuple[Job, ...]:
        if not run:
            return ()
        cost = self._guess(run[0]) * (self._spread.mean if self._spread.count else 1.0)
        size = min(batch_size(cost, self.settings), max(1, len(run) // 4))
        batch = [run.popleft()]
        while len(batch) < size and not self._alone & {batch[-1].key(), run[0].key()}:
            batch.append(run.popleft())
        return tuple(batch)

    def _take(self, place: int, worked: "Worked | None") -> None:
        jobs = self._in_hand.pop(place)
        if worked is None:
            self._lost(place, jobs)
            return
        self.done += worked.done
        self.core_seconds += worked.used
        self._spread.add(sum(map(self._guess, jobs)), worked.used)
        for key, failure in worked.failures:
            self._fail(key, failure)

    def _lost(self, place: int, jobs: Sequence[Job]) -> None:
        """Try again what a dead worker had in hand, each by itself; a lone one is to blame."""
        for job in reversed(jobs):
            key = job.key()
            self._attempts[key] += len(jobs) == 1
            if is_worth_retrying(DIED.kind, self._attempts[key], self.settings):
                self._alone.add(key)
                self._runs[place].appendleft(job)
            else:
                self._fail(key, DIED)

    def _fail(self, key: str, failure: Failure) -> None:
        self.failures[key] = failure
        counted = sum(each.kind != BLAMELESS for each in self.failures.values())
        if self._wave is None and is_wave(counted, self.done, self.settings):
            self._wave = WaveOfFailures(
                f"{counted} labels failed against {self.done} done; the last said {failure.kind}: "
                f"{failure.message}. Mend the cause, then run again: finished labels are kept."
            )

    def _guess(self, job: Job) -> float:
        return self.guesses[job.configuration.molecule]

    def _tell(self, total: int) -> None:
        left = [self._guess(job) for run in self._runs.values() for job in run]
        left += [self._guess(job) / 2 for jobs in self._in_hand.values() for job in jobs]
        cores = self.threads * max(1, len(self.workers.places))
        to_go = self._spread.time_to_go(sum(left), sum(guess**2 for guess in left), cores)
        self.watch(Progress(self.done, len(self.failures), total, to_go))
