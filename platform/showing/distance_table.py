"""Errors by distance from the training frames, drawn with rich."""

from rich.table import Table

from forgefield.platform.evaluating import Evaluation
from forgefield.platform.screen.wording import three_digits


def by_distance_table(found: Evaluation) -> Table:
    """A row a bin: distance to the nearest accurate frame trained on, and both force MAEs."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("Å from the nearest training frame")
    for name in ("frames", found.force_field.name, "95 % interval", found.baseline.name):
        table.add_column(name, justify="right", no_wrap=True)
    pairs = zip(found.force_field.by_distance, found.baseline.by_distance, strict=True)
    for ours, theirs in pairs:
        table.add_row(
            f"{three_digits(ours.nearest)} – {three_digits(ours.farthest)}",
            str(ours.frames),
            three_digits(ours.force_mae),
            f"{three_digits(ours.low)} – {three_digits(ours.high)}",
            three_digits(theirs.force_mae),
        )
    return table
