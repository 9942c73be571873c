"""Errors as text for people and as JSON for programs; a row a force field or a way of training.

Units: kcal/mol, kcal/mol/Å.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from forgefield.trainers.evaluation.distances import DistanceBin
from forgefield.trainers.evaluation.errors import Errors
from forgefield.trainers.evaluation.intervals import Interval
from forgefield.trainers.evaluation.seeds import SeedSummary, Spread

Row = Sequence[str]


def errors_table(found: Mapping[str, Errors]) -> str:
    """Name, force MAE with its interval over frames, RMSE, energies, cosine; then each element."""
    symbols = sorted({symbol for each in found.values() for symbol in each.element_mae_kcal})
    head = ("", "force MAE", "95 %", "RMSE", "energy MAE", "centred", "cosine", *symbols)
    rows = [
        (
            name,
            number(each.force_mae_kcal.value),
            bounds(each.force_mae_kcal),
            number(each.force_rmse_kcal.value),
            number(each.energy_mae_kcal.value),
            number(each.energy_centred_mae_kcal),
            f"{each.force_cosine:.4f}",
            *(number(each.element_mae_kcal.get(symbol, math.nan)) for symbol in symbols),
        )
        for name, each in found.items()
    ]
    return aligned([head, *rows])


def seeds_table(found: Mapping[str, SeedSummary]) -> str:
    """Name, seeds, then mean ± deviation over seeds, with the interval of the force MAE's mean."""
    head = ("", "seeds", "force MAE", "95 % of the mean", "RMSE", "energy MAE", "centred")
    rows = [
        (
            name,
            str(each.seeds),
            _plus_minus(each.force_mae_kcal),
            bounds(each.force_mae_kcal.mean),
            _plus_minus(each.force_rmse_kcal),
            _plus_minus(each.energy_mae_kcal),
            _plus_minus(each.energy_centred_mae_kcal),
        )
        for name, each in found.items()
    ]
    return aligned([head, *rows])


def distance_table(bins: Sequence[DistanceBin]) -> str:
    """Distance to the nearest training frame, frames, force MAE and its interval."""
    head = ("Å to the nearest training frame", "frames", "force MAE", "95 %")
    rows = [
        (
            f"{each.nearest:.3f} – {each.farthest:.3f}",
            str(each.frames),
            number(each.force_mae_kcal.value),
            bounds(each.force_mae_kcal),
        )
        for each in bins
    ]
    return aligned([head, *rows])


def aligned(rows: Sequence[Row]) -> str:
    """Rows as lines: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float) -> str:
    """Three significant digits; a dash for what isn't known."""
    return f"{value:#.3g}" if math.isfinite(value) else "–"


def bounds(found: Interval) -> str:
    """`0.12 – 0.34`."""
    return f"{number(found.low)} – {number(found.high)}"


def _plus_minus(found: Spread) -> str:
    return f"{number(found.mean.value)} ± {number(found.deviation)}"


def as_json(found: Any) -> str:  # noqa: ANN401
    """Any of these results, or a mapping or list of them; what isn't finite becomes null."""
    return json.dumps(_plain(found), indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:  # noqa: ANN401
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
