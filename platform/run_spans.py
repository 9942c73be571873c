"""How long the steps of a run took, by its timeline, also where drivers died in them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REPORT = "report"
"""The step in which times are told: it can't time itself."""


@dataclass(frozen=True, slots=True)
class Span:
    """One timed step: Unix times; `end` of a step that was cut off is that of the last event."""

    name: str
    start: float
    end: float
    finished: bool

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def spans_of(
    events: Sequence[Mapping[str, Any]], bought_at: Sequence[float] = ()
) -> tuple[Span, ...]:
    """Pairs of `X began` and `X ended`; what never ended lasted until the last sign of life.

    Signs of life are other events and `bought_at`, the times at which money moved.
    """
    spans: list[Span] = []
    running: dict[str, float] = {}
    alive = [*(float(e["time"]) for e in events if not _is_own(e)), *bought_at]
    last = max(alive, default=0.0)
    for event in events:
        name, _, what = str(event["event"]).rpartition(" ")
        if _is_own(event):
            continue
        if what == "began":
            if name in running:
                spans.append(_cut_off(name, running[name], events, alive))
            running[name] = float(event["time"])
        elif what == "ended" and name in running:
            spans.append(Span(name, running.pop(name), float(event["time"]), finished=True))
    spans += [Span(name, start, last, finished=False) for name, start in running.items()]
    return tuple(sorted(spans, key=lambda span: span.start))


def _is_own(event: Mapping[str, Any]) -> bool:
    return str(event["event"]).rpartition(" ")[0] == REPORT


def _cut_off(
    name: str, start: float, events: Sequence[Mapping[str, Any]], alive: Sequence[float]
) -> Span:
    """A step of a run that died: its end is the last sign of life before the next driver."""
    drivers = [float(e["time"]) for e in events if e["event"] == "ray is up"]
    restart = min((at for at in drivers if at > start), default=start)
    end = max((at for at in alive if start <= at < restart), default=start)
    return Span(name, start, end, finished=False)


def merged(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """Beginnings and ends of times in which one of the spans ran."""
    found: list[tuple[float, float]] = []
    for span in spans:
        if found and span.start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], span.end))
        else:
            found.append((span.start, span.end))
    return found


def seconds_of(spans: Sequence[Span], names: Collection[str]) -> float:
    """Wall time in which one of these steps ran, cut-off ones up to their last sign of life."""
    return sum(end - start for start, end in merged([s for s in spans if s.name in names]))
