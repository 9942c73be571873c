"""What was killed where and how often, on its way into RESULTS.md."""

import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

AT_RANDOM = "at a random time"
RESULTS = Path(__file__).with_name("RESULTS.md")
KILLS = int(os.environ.get("KILLS", "500"))
NOTES = Path(__file__).resolve().parents[2] / "build" / "crash.json"
HEAD = """# Kill matrix

`make crash KILLS={kills}`, {cores} cores shared with other work. After each kill: restart,
`Ledger.verify` against the store, recovery, `Ledger.verify` again. At the end every job is settled
once, the frames are those of a run without kills byte for byte, spend is the sum of the attempts,
nothing is reserved, the spool is empty.

Only real SIGKILLs are counted. A point is missed where no process came by it within seconds: the
worker is then killed at a random time instead. Load is the average over 15 minutes at the end, with
other work on the machine. Victims without minutes died in the same run as the one above them.

| killed | times | different points | at random times | points missed | labels | minutes | load |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of victim: how often it was killed at each point.

    The first of a storm's victims also has what was missed and labelled, the minutes and the load.
    """

    victim: str
    killed: dict[str, int]
    of_storm: tuple[str, ...] = ("", "", "", "")


def note(victim: str, storm: Any, labels: int, seconds: float) -> None:
    """Keep the rows of a storm, replacing older ones of the same victims, and write all of them.

    `victim` is who died where the storm names nobody: `VICTIM, POINT`.
    """
    by_victim: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, times in storm.killed.items():
        who, _, point = name.rpartition(", ")
        by_victim[who or victim][point] = times
    load = os.getloadavg()[2]
    facts = (str(storm.missed.total()), str(labels), f"{seconds / 60:.1f}", f"{load:.1f}")
    rows = json.loads(NOTES.read_text()) if NOTES.exists() else {}
    for place, who in enumerate(sorted(by_victim)):
        row = Row(who, by_victim[who], facts) if place == 0 else Row(who, by_victim[who])
        rows[who] = asdict(row)
    NOTES.parent.mkdir(parents=True, exist_ok=True)
    NOTES.write_text(json.dumps(rows))
    _write([Row(**each) for each in rows.values()])


def _write(rows: list[Row]) -> None:
    head = HEAD.format(cores=len(os.sched_getaffinity(0)), kills=KILLS)
    lines = [_line(each) for each in rows]
    points = [_points(each) for each in rows]
    RESULTS.write_text(head + "\n".join([*lines, _total(rows)]) + "\n" + "".join(points))


def _line(row: Row) -> str:
    by_chance = row.killed.get(AT_RANDOM, 0)
    points, times = len(row.killed) - bool(by_chance), sum(row.killed.values())
    return f"| {' | '.join(map(str, (row.victim, times, points, by_chance, *row.of_storm)))} |"


def _total(rows: list[Row]) -> str:
    times = sum(sum(row.killed.values()) for row in rows)
    minutes = sum(float(row.of_storm[2] or 0) for row in rows)
    return f"| all | {times} | | | | | {minutes:.1f} | |"


def _points(row: Row) -> str:
    lines = [f"{times:4}  {point}" for point, times in sorted(row.killed.items())]
    return f"\n## Killed: {row.victim}\n\n```\n" + "\n".join(lines) + "\n```\n"
