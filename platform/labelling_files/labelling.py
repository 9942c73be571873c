"""`platform label`, wired on one page: file → jobs → workers → results on disk → OUT.

What is on disk is the only truth: a call reads what earlier ones left in `OUT.partial`, labels what
is missing, and writes OUT from the disk again.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from forgefield.platform.interrupts import Interrupted, signals_to
from forgefield.platform.labelling_files.dispatcher import Dispatcher, Progress
from forgefield.platform.labelling_files.extended_xyz import LabelledFrame, write_labels
from forgefield.platform.labelling_files.partial import (
    PartialFolder,
    found_keys,
    identity_of,
    is_complete,
)
from forgefield.platform.labelling_files.quote import FileQuote, quote
from forgefield.platform.labelling_files.summary import Computing, LabelSummary, summary
from forgefield.platform.labelling_files.work import Work
from forgefield.platform.planning.machine import this_machine
from forgefield.platform.planning.throughput import Choice
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.screen.wording import duration
from forgefield.storage.errors import InputError
from forgefield.storage.records import Failure, Job, Label, Outcome
from forgefield.storage.run_lock import RunLock

if TYPE_CHECKING:
    from forgefield.platform.buying.workers import FileJobs

HOPELESS = frozenset({"BadConfiguration", "NotConverged"})
"""Failures that a second try doesn't mend."""
BAR = "labels"


def estimate_file(work: Work, address: str | None) -> FileQuote:
    """What `label_file` would cost; nothing is computed, and Ray is only asked for its nodes."""
    if address is None:
        return quote(work, this_machine())
    from forgefield.platform.cluster import cluster_machine, ray_cluster

    with ray_cluster(address, this_machine()):
        return quote(work, cluster_machine())


def label_file(work: Work, address: str | None, reporter: Reporter) -> LabelSummary:
    """Label every frame that has no label yet and write OUT; see the module.

    Raises `InputError` for what can't be labelled, `RunBusy` if another call is at it,
    `WaveOfFailures`, and `Interrupted` after what was in flight is finished.
    """
    start, asked, folder = time.monotonic(), work.asked, PartialFolder(work.asked.out)
    if is_complete(asked.out, work.keys):
        folder.remove()
        return summary(work, set(work.keys), {}, Computing(), time.monotonic() - start)
    identity = identity_of(asked.file, work.jobs)
    folder.refuse_another(identity)
    _refuse_foreign_out(folder)
    if address is None:
        work.choose(this_machine())
    folder.create()
    with RunLock(folder.root):
        folder.claim(identity)
        before = folder.results()
        todo = frozenset(work.keys) - work.broken.keys() - _settled(before)
        computing = _compute(work, folder, todo, address, reporter) if todo else Computing()
        known = folder.results() if todo else before
        failures = computing.failures | _failures(known) | work.broken
        labels = {key: o.result for key, o in known.items() if isinstance(o.result, Label)}
        if labels:
            write_labels(_frames(work, labels), asked.out)
        if not failures:
            folder.remove()
    reused = {key for key in _settled(before) if key in labels}
    return summary(work, reused, failures, computing, time.monotonic() - start)


def _compute(
    work: Work,
    folder: PartialFolder,
    todo: frozenset[str],
    address: str | None,
    reporter: Reporter,
) -> Computing:
    """Bring up Ray and the workers, and label what is to do."""
    from forgefield.platform.cluster import cluster_machine, ray_cluster, slot_strategies
    from forgefield.platform.labelling_files.crew import Crew

    with ray_cluster(address, this_machine()) as cluster:
        reporter.say(f"Ray dashboard {cluster.dashboard_url}")
        choice = work.choose(cluster_machine())
        reporter.say(choice.why)
        with slot_strategies(choice.slots, choice.memory_bytes) as strategies:
            crew = Crew(_file_jobs(work, folder, choice), strategies)
            crew.start(len(todo))
            dispatcher = Dispatcher(
                workers=crew,
                guesses={
                    n: e.core_seconds for n, e in work.estimates(choice.slots.threads).items()
                },
                threads=choice.slots.threads,
                watch=partial(_show, reporter),
            )
            _run(dispatcher, work.in_order(todo), reporter)
    reporter.end(BAR)
    return Computing(dispatcher.done, dispatcher.core_seconds, choice, dispatcher.failures)


def _run(dispatcher: Dispatcher, jobs: Sequence[Job], reporter: Reporter) -> None:
    stops = 0

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stops
        stops += 1
        if stops > 1:
            raise KeyboardInterrupt
        labels = dispatcher.stop()
        reporter.say(f"Stopping after the {labels} labels in flight; Ctrl-C again to leave them.")

    with signals_to(on_signal):
        dispatcher.run(jobs)
    if stops:
        raise Interrupted


def _file_jobs(work: Work, folder: PartialFolder, choice: Choice) -> "FileJobs":
    from forgefield.platform.buying.workers import FileJobs

    return FileJobs(
        method=work.labeler.method.name,
        molecules=work.geometries.molecules,
        threads=choice.slots.threads,
        memory_bytes=choice.memory_bytes,
        folder=folder.labels.resolve(),
    )


def _show(reporter: Reporter, progress: Progress) -> None:
    said = [time_to_go(progress)] + ([f"{progress.failed} failed"] if progress.failed else [])
    reporter.bar(BAR, progress.done, progress.total - progress.failed, ", ".join(said))


def time_to_go(progress: Progress) -> str:
    """The range of the time to go in words."""
    if progress.to_go is None:
        return "time to go: known after two labels"
    if progress.done + progress.failed == progress.total:
        return "done"
    low, high = duration(progress.to_go.low), duration(progress.to_go.high)
    return f"{low} to {high} to go" if low != high else f"{low} to go"


def _settled(known: Mapping[str, Outcome]) -> set[str]:
    """Keys that need no more work: labelled, or failed in a way that a second try doesn't mend."""
    return {
        key
        for key, outcome in known.items()
        if isinstance(outcome.result, Label) or outcome.result.kind in HOPELESS
    }


def _failures(known: Mapping[str, Outcome]) -> dict[str, Failure]:
    return {key: o.result for key, o in known.items() if isinstance(o.result, Failure)}


def _refuse_foreign_out(folder: PartialFolder) -> None:
    """Raise `InputError` if OUT was there before any call for it began."""
    if folder.out.exists() and not folder.request.exists():
        kind = "other frames or another method" if found_keys(folder.out) else "something else"
        raise InputError(
            f"{folder.out} exists and holds {kind}. Write to another file with -o, or move it away."
        )


def _frames(work: Work, labels: Mapping[str, Label]) -> Iterator[LabelledFrame]:
    for number, (key, job) in enumerate(zip(work.keys, work.jobs, strict=True)):
        if key in labels:
            yield LabelledFrame(number, job, labels[key], work.frames[number].info)
