"""What a benchmark's folder holds at the end: `results.json`, `results.md` and plots."""

from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.benchmarking.publishing.plots import draw_plots
from forgefield.platform.benchmarking.publishing.tables import markdown
from forgefield.platform.benchmarking.results import Results, write

JSON, MARKDOWN = "results.json", "results.md"


def publish(results: Results, folder: Path) -> list[Path]:
    """Write everything; returns the paths."""
    write(folder / JSON, results.model_dump_json(indent=1) + "\n")
    write(folder / MARKDOWN, markdown(results))
    plots = draw_plots(results, folder) if results.rows else []
    return [folder / JSON, folder / MARKDOWN, *plots]


def with_gone_named(results: Results, folder: Path) -> Results:
    """With a note of the rows that the folder's results have and these, which replace them, not."""
    try:
        before = Results.model_validate_json((folder / JSON).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return results
    now = {row.row for row in results.rows} | {row.row for row in results.left_out}
    gone = dict.fromkeys(row.row for row in before.rows if row.row not in now)
    if not gone:
        return results
    note = (
        f"An earlier call had {', '.join(gone)} here too, which this one wasn't asked for. What "
        "was trained for them is kept: ask for all rows at once to have them in one table."
    )
    return results.model_copy(update={"notes": (*results.notes, note)})
