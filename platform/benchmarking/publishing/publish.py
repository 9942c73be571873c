"""What a benchmark's folder holds at the end: `results.json`, `results.md` and plots."""

from pathlib import Path

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
