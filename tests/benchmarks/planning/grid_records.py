"""Measured errors as lines of JSON, the file that priors are fitted to, and a table for people.

Every line is appended when it is known, so what a killed run measured is kept; a point that is
there twice counts once, the later one. Units: kcal/mol/Å, core-seconds.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

ErrorOf = dict[tuple[int, int], list[float]]
"""Errors of all seeds by (target labels, middle labels)."""


class Record(BaseModel):
    """The error of one force field on frames that no training saw.

    `error` is on test frames of the target, `validation_error` on the frames it was chosen by.
    Of kind "pretrained" `error` is on middle-tier frames, and `error_on_target` on the target's.
    `seconds` are core-seconds of this stage alone.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    target: str
    middle: str
    n_target: int
    n_middle: int
    n_cheap: int = 0
    kind: str
    seed: int
    error: float
    error_on_target: float | None = None
    validation_error: float | None = None
    frames: int
    validation_frames: int = 0
    steps: int
    seconds: float

    @property
    def point(self) -> tuple[str, str, int, int, int]:
        """What makes it this point of the grid."""
        return self.system, self.kind, self.n_target, self.n_middle, self.seed


def read_lines(path: Path) -> dict[tuple[str, str, int, int, int], Record]:
    """All whole lines of a log by their points; a torn last line isn't there."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = Record.model_validate_json(line)
        except ValueError:
            continue
        found[record.point] = record
    return found


def append_line(path: Path, record: Record) -> None:
    """One more line, on a line of its own even after a torn one."""
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    with path.open("a", encoding="utf-8") as log:
        log.write(("\n" if torn else "") + record.model_dump_json() + "\n")


def write_errors(path: Path, records: Iterable[Record]) -> None:
    """The file for the planner: `records`, and apart from them errors of `pretrained` networks."""
    rows = [record.model_dump(exclude_none=True) for record in records]
    tuned = [row for row in rows if row["kind"] != "pretrained"]
    others = [row for row in rows if row["kind"] == "pretrained"]
    lists = {"records": tuned, "pretrained": others}
    parts = [f'"{name}": [\n{_lines(found)}\n]' for name, found in lists.items()]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(rows: Sequence[dict[str, object]]) -> str:
    return ",\n".join(json.dumps(row) for row in rows)


def tables(records: Sequence[Record]) -> str:
    """Of every system the mean errors: middle labels by line, target labels by column."""
    return "\n\n".join(
        _table(name, [r for r in records if r.system == name])
        for name in dict.fromkeys(record.system for record in records)
    )


def _table(name: str, records: Sequence[Record]) -> str:
    cells: ErrorOf = {}
    for record in records:
        if record.kind != "pretrained":
            cells.setdefault((record.n_target, record.n_middle), []).append(record.error)
    targets, middles = (sorted({point[at] for point in cells}) for at in (0, 1))
    seeds = len({record.seed for record in records})
    head = f"| {name}, {records[0].middle} → {records[0].target}, {seeds} seed(s) |"
    head += "".join(f" {n} |" for n in targets) + " slope | e_L | untuned |"
    lines = [head, "|---" * (len(targets) + 4) + "|"]
    for middle in middles:
        row = [float(np.mean(cells.get((n, middle), [np.nan]))) for n in targets]
        low = [r for r in records if r.kind == "pretrained" and r.n_middle == middle]
        known = _pretrained(low) if low else " – | – |"
        shown = "".join(f" {value:.3f} |" for value in row)
        lines.append(f"| {middle} |{shown} {slope(targets, row):.2f} |{known}")
    return "\n".join(lines)


def _pretrained(records: Sequence[Record]) -> str:
    """Mean errors on both tiers, as cells."""
    own = np.mean([record.error for record in records])
    other = np.mean([record.error_on_target or np.nan for record in records])
    return f" {own:.3f} | {other:.3f} |"


def slope(counts: Sequence[int], errors: Sequence[float]) -> float:
    """−d ln e/d ln n by least squares, NaN with fewer than two points."""
    seen = np.isfinite(errors)
    if seen.sum() < 2:
        return float("nan")
    return float(-np.polyfit(np.log(np.array(counts)[seen]), np.log(np.array(errors)[seen]), 1)[0])
