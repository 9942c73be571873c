"""Results as tables: one form, written as Markdown and drawn on the terminal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forgefield.platform.benchmarking.draws import each
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.paper import RATIO, paper_value
from forgefield.platform.benchmarking.publishing.best import best_words
from forgefield.platform.benchmarking.publishing.notes import bins_of, notes_of
from forgefield.platform.benchmarking.results import Results, Row, spread
from forgefield.platform.screen.panels import panel
from forgefield.platform.screen.wording import UNIT, duration, three_digits

DASH = "–"
WIDE = ("energy, kcal/mol", "validation", "search", "c", "95 % over frames", "by element")
"""Columns that only the document has."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A titled table of words; the first `left` columns are set to the left."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


def grids_of(results: Results) -> list[Grid]:
    """All tables of a benchmark."""
    errors = _curve_errors if results.kind == "curve" else _asteroid_errors
    grids = []
    for rows, suffix in _by_effort(results):
        grids += [errors(results, rows, suffix), _details(rows, suffix)]
    return grids


def _by_effort(results: Results) -> list[tuple[list[Row], str]]:
    """The rows of each effort, sGDML's with all of them, and what a title says of it."""
    efforts = efforts_of(results)
    return [
        (
            [row for row in results.rows if row.effort == effort or row.row == Kind.SGDML],
            "" if efforts == [1.0] else f", effort {effort:g}",
        )
        for effort in efforts
    ]


def efforts_of(results: Results) -> list[float]:
    """Efforts of what was trained; sGDML is solved and has none."""
    return sorted({row.effort for row in results.rows if row.row != Kind.SGDML}) or [1.0]


def mean_and_spread(values: Sequence[float]) -> str:
    """`0.176 ± 0.004`, or the value alone where there is one."""
    if not values:
        return DASH
    mean, deviation = spread(list(values))
    digits = _digits(mean, mean)
    return digits if len(values) == 1 else f"{digits} ± {_digits(deviation, mean)}"


def _asteroid_errors(results: Results, rows: Sequence[Row], suffix: str) -> Grid:
    ratios = sorted({row.ratio for row in rows if row.ratio is not None})
    kinds = list(dict.fromkeys(row.row for row in rows))
    known = [_paper(results, kind) for kind in kinds]
    beside = any(value != DASH for value in known)
    lines = []
    for kind, value in zip(kinds, known, strict=True):
        own = [row for row in rows if row.row == kind]
        values = [_at(own, ratio) for ratio in ratios] or [_at(own, None)]
        lines.append((kind, _labels(own), *values, *([value] if beside else [])))
    columns = [f"{ratio:g}:1" for ratio in ratios] or ["error"]
    head = ("row", "labels", *columns, *([f"paper, {RATIO:g}:1"] if beside else []))
    return Grid(f"{results.title}{suffix}: force MAE in {UNIT}", head, tuple(lines), left=2)


def _curve_errors(results: Results, rows: Sequence[Row], suffix: str) -> Grid:
    sizes = sorted({row.accurate for row in rows})
    lines = []
    for kind in dict.fromkeys(row.row for row in rows):
        own = [row for row in rows if row.row == kind]
        by_size = [[row.score.force_mae for row in own if row.accurate == n] for n in sizes]
        lines.append((kind, f"{own[0].cheap:,}", *map(mean_and_spread, by_size)))
    title = f"{results.title}{suffix}: force MAE in {UNIT} by accurate labels"
    return Grid(title, ("training", "cheap labels", *map(str, sizes)), tuple(lines))


def _details(rows: Sequence[Row], suffix: str) -> Grid:
    lines = tuple(_detail(group) for group in _grouped(rows))
    head = ("row", "labels", "MAE", *WIDE[4:], "RMSE", WIDE[0], "validation", "time", "search", "c")
    grid = Grid(f"Each row{suffix}: force errors in {UNIT}", head, lines, left=2)
    searched = any(row.search_seconds > row.seconds for row in rows if len(row.tried) > 1)
    telling = {"search": searched, "c": any(row.c is not None for row in rows)}
    return _without(grid, [name for name, tells in telling.items() if not tells])


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that differ by their seed alone."""
    groups: dict[tuple[str, float, float | None, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.row, row.effort, row.ratio, row.accurate), []).append(row)
    return list(groups.values())


def _count(row: Row) -> str:
    return f"{row.accurate}" + (f" + {row.cheap:,}" if row.cheap else "")


def _detail(rows: Sequence[Row]) -> tuple[str, ...]:
    first = rows[0]
    known = [row.validation for row in rows if row.validation is not None]
    return (
        first.row,
        _count(first),
        mean_and_spread([row.score.force_mae for row in rows]),
        _interval(rows),
        _by_element(rows),
        mean_and_spread([row.score.force_rmse for row in rows]),
        mean_and_spread([row.score.energy_mae for row in rows]),
        mean_and_spread(known),
        duration(spread([row.seconds for row in rows])[0]),
        duration(max(row.search_seconds for row in rows)),
        ", ".join(f"{row.c:g}" for row in rows if row.c is not None) or DASH,
    )


def _interval(rows: Sequence[Row]) -> str:
    """Of the error over test frames: means of the seeds' bounds."""
    low, high = (float(np.mean([getattr(r.score, end) for r in rows])) for end in ("low", "high"))
    return f"{_digits(low, high)}–{_digits(high, high)}" if np.isfinite(high) else DASH


def _by_element(rows: Sequence[Row]) -> str:
    """`C 0.120, H 0.090`, means over the seeds."""
    known = [row.score.force_mae_by_element for row in rows]
    means = {symbol: float(np.mean([each[symbol] for each in known])) for symbol in known[0]}
    return ", ".join(f"{symbol} {_digits(mean, mean)}" for symbol, mean in means.items())


def distances_of(results: Results) -> list[Grid]:
    """Errors by distance from the frames drawn to train on, where all rows have the same bins.

    They haven't where every seed draws frames of its own.
    """
    edges = bins_of(results)
    if len(edges) != 1:
        return []
    (bins,) = edges
    columns = [f"{three_digits(low)}–{three_digits(high)} Å" for low, high in bins]
    drawn = each(len(draw.train) for draw in results.draws.values())
    title = (
        f" in {UNIT} by distance from the nearest of the {drawn} accurate frames drawn to train "
        "on, of which a row may have fewer"
    )
    return [
        Grid(
            f"Force MAE{suffix}{title}", ("row", "labels", *columns), _distance_lines(rows), left=2
        )
        for rows, suffix in _by_effort(results)
    ]


def _distance_lines(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    lines = []
    for group in _grouped([row for row in rows if row.score.by_distance]):
        bins = range(len(group[0].score.by_distance))
        errors = [[row.score.by_distance[n].force_mae for row in group] for n in bins]
        lines.append((group[0].row, _count(group[0]), *map(mean_and_spread, errors)))
    return tuple(lines)


def _at(rows: Sequence[Row], ratio: float | None) -> str:
    """Rows that buy no cheap labels cost the same at every ratio."""
    return mean_and_spread(
        [row.score.force_mae for row in rows if row.ratio is None or row.ratio == ratio]
    )


def _labels(rows: Sequence[Row]) -> str:
    accurate = list(dict.fromkeys(f"{row.accurate}" for row in rows))
    cheap = [f"{count:,}" for count in dict.fromkeys(row.cheap for row in rows) if count]
    return "/".join(accurate) + (f" + {'/'.join(cheap)}" if cheap else "")


def _paper(results: Results, kind: str) -> str:
    found = paper_value(results.name, results.budget, results.model, kind)
    return DASH if found is None else " ".join([f"{found[0]:.3f}", found[1]]).strip()


def _digits(value: float, like: float) -> str:
    """A number with as many decimals as suit `like`, so that a spread goes with its mean."""
    return f"{value:.3f}" if abs(like) < 10 else f"{value:.1f}"


def markdown(results: Results) -> str:
    """All tables and how they were made, as a document."""
    lines = [f"# {results.kind}: {results.title}", ""]
    for grid in [*grids_of(results), *distances_of(results)]:
        lines += [f"## {grid.title}", "", _line(grid.head)]
        lines.append(_line(["---" if n < grid.left else "---:" for n in range(len(grid.head))]))
        lines += [*map(_line, grid.rows), ""]
    best = best_words(results)
    lines += [f"- {note}" for note in [*([best] if best else []), *notes_of(results)]]
    files = [f"{f.path.name} ({f.frames:,} frames, {f.unit})" for f in results.files.values()]
    lines += [f"- Files: {'; '.join(files)}.", f"- `{results.origin.command}`"]
    versions = ", ".join(f"{name} {v}" for name, v in results.origin.versions.items())
    lines.append(f"- {versions}; {results.origin.device}, {results.origin.parallel} at a time.")
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def narrow(grid: Grid) -> Grid:
    """The columns that a terminal has room for."""
    return _without(grid, WIDE)


def _without(grid: Grid, names: Collection[str]) -> Grid:
    kept = [place for place, name in enumerate(grid.head) if name not in names]
    rows = tuple(tuple(row[place] for place in kept) for row in grid.rows)
    return Grid(grid.title, tuple(grid.head[place] for place in kept), rows, grid.left)


def show_results(console: Console, results: Results) -> None:
    """The tables on the terminal, with the notes below."""
    for grid in map(narrow, grids_of(results)):
        table = Table(box=None, pad_edge=False, header_style="dim")
        for place, name in enumerate(grid.head):
            table.add_column(name, justify="left" if place < grid.left else "right")
        for row in grid.rows:
            table.add_row(*map(Text, row))
        console.print(panel(grid.title, table))
    for note in notes_of(results):
        console.print(note, style="dim", markup=False)
    if best := best_words(results):
        console.print(best, soft_wrap=True, markup=False)
