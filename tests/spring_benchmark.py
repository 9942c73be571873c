"""The small ASTEROID benchmark of `tests/platform`: its terms, and ways to look at it."""

from pathlib import Path
from typing import Any

import spring_files as springs
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.terms import Bench, Terms, bench_of
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.preparing import prepare
from forgefield.platform.benchmarking.results import Results, Row
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array

ACCURATE_FRAMES, CHEAP_FRAMES = 80, 60
TERMS = Terms(budget=20, ratios=(10.0,), c_grid=(0.5, 2.0), temperature=500.0, kinds=tuple(Kind))
"""Every row, the committee too."""


def asked_in(folder: Path, accurate: Array, cheap: Array, **more: Any) -> Asked:
    """Two seeds of a small EGNN, one stage at a time, on geometries (N, A, 3) Å of each method."""
    (folder / "recipe.toml").write_text(springs.RECIPE)
    return Asked(
        accurate=springs.write(folder / "high.npz", accurate, springs.ACCURATE),
        cheap=springs.write(folder / "low.npz", cheap, springs.CHEAP),
        test=None,
        out=folder / "out",
        model="egnn",
        recipe=folder / "recipe.toml",
        seeds=2,
        parallel=1,
        device="cpu",
        **more,
    )


def rows_of(results: Results, kind: Kind) -> list[Row]:
    """All rows of a kind."""
    return [row for row in results.rows if row.row == kind]


def bench(asked: Asked, terms: Terms = TERMS) -> Bench:
    """All that is known before the first stage."""
    return bench_of(prepare(asked, terms.budget, Listener()), terms)


def geometries(frames: Frames) -> set[bytes]:
    """Hashes of the geometries, whatever their orientation."""
    return {row.tobytes() for row in frames.geometry_F}


def same_numbers(one: Results, other: Results) -> bool:
    """Whether all errors are equal to the last bit."""
    return [(r.row, r.seed, r.score.force_mae, r.validation) for r in one.rows] == [
        (r.row, r.seed, r.score.force_mae, r.validation) for r in other.rows
    ]
