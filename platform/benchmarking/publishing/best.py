"""Which force field of a benchmark to take: chosen by validation, never by the test frames."""

from pathlib import Path

from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.results import Results, Row


def best_row(results: Results) -> tuple[Row, Path, float] | None:
    """The row with the smallest validation error, its force field, that error.

    Δ-learning's gives differences, which are of use with cheap labels alone.
    """
    known = [
        (row, row.force_field, row.validation)
        for row in results.rows
        if row.force_field and row.validation is not None and row.row != Kind.DELTA
    ]
    return min(known, key=lambda each: each[2], default=None)


def best_words(results: Results) -> str:
    """`Best by validation: ASTEROID, seed 0 …: FOLDER`, or nothing where there is no such row."""
    best = best_row(results)
    if best is None:
        return ""
    row, folder, error = best
    return f"Best by validation ({error:.3g} kcal/mol/Å): {results.name_of(row)}: {folder}"
