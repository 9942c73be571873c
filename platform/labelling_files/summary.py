"""What a call of `platform label` did, as a document."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from forgefield.platform.labelling_files.work import Work
from forgefield.platform.planning.throughput import Choice
from forgefield.storage.documents import Document
from forgefield.storage.records import Failure


class FailedFrame(Document):
    """A frame without a label; `frame` is its number in the file, from 0."""

    frame: int
    kind: str
    message: str


class LabelSummary(Document):
    """What a call did: `computed` labels are new, `reused` ones are an earlier call's."""

    file: str
    out: str
    method: str
    frames: int
    labelled: int
    computed: int
    reused: int
    failures: tuple[FailedFrame, ...]
    core_seconds: float
    wall_s: float
    workers: int
    threads: int
    why: str


@dataclass(slots=True)
class Computing:
    """What one call computed, and where; the failures of workers that died are known here only."""

    labels: int = 0
    core_seconds: float = 0.0
    choice: Choice | None = None
    failures: dict[str, Failure] = field(default_factory=dict)


def summary(
    work: Work,
    reused: AbstractSet[str],
    failures: Mapping[str, Failure],
    computing: Computing,
    wall_s: float,
) -> LabelSummary:
    """Counts of frames and labels, and every frame that has none, with its reason."""
    failed = tuple(
        FailedFrame(frame=number, kind=failures[key].kind, message=failures[key].message)
        for number, key in enumerate(work.keys)
        if key in failures
    )
    choice = computing.choice
    return LabelSummary(
        file=str(work.asked.file),
        out=str(work.asked.out),
        method=work.labeler.method.name,
        frames=len(work.keys),
        labelled=len(work.keys) - len(failed),
        computed=computing.labels,
        reused=len(reused),
        failures=failed,
        core_seconds=computing.core_seconds,
        wall_s=wall_s,
        workers=choice.slots.count if choice else 0,
        threads=choice.slots.threads if choice else 0,
        why=choice.why if choice else "nothing to compute",
    )
