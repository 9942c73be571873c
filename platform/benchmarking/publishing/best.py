"""Which force field of a benchmark to take: chosen by validation, never by the test frames."""

from pathlib import Path

from forgefield.platform.benchmarking.results import Results, Row

DIFFERENCES = "Δ-learning"
"""Its force field gives differences, which are of use with cheap labels alone."""


def best_row(results: Results) -> tuple[Row, Path, float] | None:
    """The row with the smallest validation error, its force field, that error."""
    known = [
        (row, row.force_field, row.validation)
        for row in results.rows
        if row.force_field and row.validation is not None and row.row != DIFFERENCES
    ]
    return min(known, key=lambda each: each[2], default=None)


def best_words(results: Results) -> str:
    """`Best by validation: ASTEROID, seed 0 …: FOLDER`, or nothing where there is no such row."""
    best = best_row(results)
    if best is None:
        return ""
    row, folder, error = best
    effort = "" if row.effort == 1 else f", effort {row.effort:g}"
    ratio = "" if row.ratio is None else f", {row.ratio:g}:1"
    labels = f", {row.accurate} accurate labels" if results.kind == "curve" else ""
    chosen = f"{row.row}, seed {row.seed}{effort}{ratio}{labels}"
    return f"Best by validation ({error:.3g} kcal/mol/Å): {chosen}: {folder}"
