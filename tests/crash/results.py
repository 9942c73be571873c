"""What was killed where and how often, on its way into RESULTS.md."""

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("RESULTS.md")
NOTES = Path(__file__).resolve().parents[2] / "build" / "crash.json"
HEAD = """# Kill matrix

`make crash`, {cores} cores shared with other work. After each kill: restart, `Ledger.verify`
against the store, recovery, `Ledger.verify` again. At the end every job is settled once, the frames
are those of a run without kills byte for byte, spend is the sum of the attempts, nothing is
reserved, the spool is empty.

| killed | times | different points | at random times | points missed | labels | minutes |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of victim: how often it was killed at each point, and what was labelled."""

    victim: str
    killed: dict[str, int]
    missed: int
    labels: int
    minutes: float

    @classmethod
    def of(cls, victim: str, storm: Any, labels: int, seconds: float) -> "Row":
        """The row of a storm that is over."""
        return cls(victim, dict(storm.killed), storm.missed.total(), labels, seconds / 60)


def note(row: Row) -> None:
    """Keep a row, replacing an older one of the same victim, and write all of them out."""
    rows = json.loads(NOTES.read_text()) if NOTES.exists() else {}
    rows[row.victim] = asdict(row)
    NOTES.parent.mkdir(parents=True, exist_ok=True)
    NOTES.write_text(json.dumps(rows))
    known = [Row(**each) for each in rows.values()]
    lines = [_line(each) for each in known]
    points = [_points(each) for each in known]
    head = HEAD.format(cores=len(os.sched_getaffinity(0)))
    RESULTS.write_text(head + "\n".join([*lines, _total(known)]) + "\n" + "".join(points))


def _line(row: Row) -> str:
    by_chance = row.killed.get("at a random time", 0)
    points, times = len(row.killed) - bool(by_chance), sum(row.killed.values())
    cells = (row.victim, times, points, by_chance, row.missed, row.labels, f"{row.minutes:.1f}")
    return f"| {' | '.join(map(str, cells))} |"


def _total(rows: list[Row]) -> str:
    times = sum(sum(row.killed.values()) for row in rows)
    minutes = sum(row.minutes for row in rows)
    return f"| all | {times} | | | | | {minutes:.1f} |"


def _points(row: Row) -> str:
    groups: Counter[str] = Counter()
    for point, times in row.killed.items():
        groups[point] += times
    lines = [f"{times:4}  {point}" for point, times in sorted(groups.items())]
    return f"\n## Killed: {row.victim}\n\n```\n" + "\n".join(lines) + "\n```\n"
