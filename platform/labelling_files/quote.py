"""What labelling a file would cost, said before anything is computed."""

from collections import Counter

from forgefield.platform.labelling_files.partial import PartialFolder, identity_of
from forgefield.platform.labelling_files.work import Work
from forgefield.platform.planning.machine import Machine, wall_seconds
from forgefield.platform.planning.throughput import gain_of
from forgefield.storage.documents import Document
from forgefield.storage.records import Label


class MoleculeQuote(Document):
    """A label of one molecule: core-seconds with a 90 % range; `labels` are still to be made."""

    molecule: str
    frames: int
    labels: int
    core_seconds: float
    low: float
    high: float
    memory_bytes: int


class FileQuote(Document):
    """The whole file; frames that are equal, or labelled already, cost nothing more."""

    file: str
    out: str
    method: str
    frames: int
    labels: int
    broken: int
    core_seconds: float
    low: float
    high: float
    wall_s: float
    workers: int
    threads: int
    memory_bytes: int
    why: str
    molecules: tuple[MoleculeQuote, ...]


def quote(work: Work, machine: Machine) -> FileQuote:
    """Cost, wall time and memory on `machine`; raises `InputError` where a label doesn't fit."""
    choice = work.choose(machine)
    slots, method = choice.slots, work.labeler.method.name
    rows = _rows(work, slots.threads)
    core_seconds, low, high = (
        sum(row.labels * each for row, each in zip(rows, column, strict=True))
        for column in zip(*((r.core_seconds, r.low, r.high) for r in rows), strict=True)
    )
    longest = max((row.core_seconds for row in rows if row.labels), default=0.0)
    slower = gain_of(method).slowdown(slots.count // machine.nodes)
    return FileQuote(
        file=str(work.asked.file),
        out=str(work.asked.out),
        method=method,
        frames=len(work.jobs),
        labels=sum(row.labels for row in rows),
        broken=sum(key in work.broken for key in work.keys),
        core_seconds=core_seconds,
        low=low,
        high=high,
        wall_s=slower * wall_seconds(core_seconds, longest, slots),
        workers=slots.count,
        threads=slots.threads,
        memory_bytes=max(row.memory_bytes for row in rows),
        why=choice.why,
        molecules=rows,
    )


def _rows(work: Work, threads: int) -> tuple[MoleculeQuote, ...]:
    names = dict(zip(work.keys, (job.configuration.molecule for job in work.jobs), strict=True))
    left = Counter(names[key] for key in names.keys() - _settled(work))
    frames = Counter(job.configuration.molecule for job in work.jobs)
    return tuple(
        MoleculeQuote(
            molecule=name,
            frames=frames[name],
            labels=left[name],
            core_seconds=guess.core_seconds,
            low=guess.low,
            high=guess.high,
            memory_bytes=guess.memory_bytes,
        )
        for name, guess in work.estimates(threads).items()
    )


def _settled(work: Work) -> set[str]:
    """Keys of jobs that an earlier call labelled, or that can't be labelled at all."""
    folder = PartialFolder(work.asked.out)
    folder.refuse_another(identity_of(work.asked.file, work.jobs))
    known = folder.results() if folder.request.exists() else {}
    return {key for key, outcome in known.items() if isinstance(outcome.result, Label)} | set(
        work.broken
    )
