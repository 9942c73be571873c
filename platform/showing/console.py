"""Screens: the state of a run and its result, drawn with rich."""

import shlex
import time

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from forgefield.platform.buying.saved_labels import saved_words
from forgefield.platform.doctor import Checkup
from forgefield.platform.evaluating import Evaluation, verdict
from forgefield.platform.results import Result
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.panels import grid, panel, tier_table
from forgefield.platform.screen.wording import amount, duration, gigabytes, three_digits
from forgefield.platform.showing.distance_table import by_distance_table
from forgefield.platform.status import Status, status_of


def show_status(console: Console, status: Status) -> None:
    """The state of a run."""
    console.print(status_panel(status))


def watch_status(console: Console, folder: RunFolder, every_s: float) -> None:
    """Redraw the state until nobody drives the run."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            status = status_of(folder)
            live.update(status_panel(status), refresh=True)
            if not status.running:
                return
            time.sleep(every_s)


def status_panel(status: Status) -> Panel:
    """A run's state as a panel."""
    facts = grid(
        [
            ("run", status.folder),
            ("molecule", status.molecule),
            ("budget", status.budget),
            ("state", _state(status)),
            ("money", _money(status)),
            ("rate", _rate(status)),
            *_training(status),
            *_rounds(status),
            *_shared(status),
        ]
    )
    parts: list[RenderableType] = [facts, _tier_states(status)]
    if status.failures:
        parts.append(Text("Last failures:\n" + "\n".join(status.failures), style="yellow"))
    return panel("Status", *parts)


def _state(status: Status) -> str:
    if status.step == "finished":
        return status.step
    if status.running:
        return f"running; {status.step}"
    return f"stopped; {status.step}. Go on with: platform run {shlex.quote(status.folder)}"


def _money(status: Status) -> str:
    shares = (("spent", status.spent), ("reserved", status.reserved), ("left", status.left))
    unit = status.unit_core_seconds
    said = ", ".join(f"{amount(value / unit, status.budget)} {name}" for name, value in shares)
    return f"{said} of {amount(status.cap / unit, status.budget)}"


def _training(status: Status) -> list[tuple[str, RenderableType]]:
    """A line for every stage that trains now."""
    lines = [
        f"{stage.name}: step {stage.step:,} of {stage.steps:,}"
        + ("" if stage.error is None else f", {three_digits(stage.error)} kcal/mol/Å so far")
        for stage in status.training
    ]
    return [*_training_time(status), *([("training", "\n".join(lines))] if lines else [])]


def _training_time(status: Status) -> list[tuple[str, RenderableType]]:
    """The last training so far, beside what was quoted for it."""
    if status.training_s is None:
        return []
    quoted = status.training_quoted_s
    said = "" if quoted is None else f", quoted {duration(quoted)} in all"
    return [("last training", f"{duration(status.training_s)} since its start here{said}")]


def _rounds(status: Status) -> list[tuple[str, RenderableType]]:
    """The last round's error beside what was forecast for it, and what it decided."""
    last = status.round
    if last is None:
        return []
    said = f"{last.ended} ended; {three_digits(last.error)} kcal/mol/Å on validation frames"
    said += " by a short training"
    if last.expected is not None:
        low, high = three_digits(last.expected.low), three_digits(last.expected.high)
        said += f" (forecast: {low} to {high})"
    return [("rounds", f"{said} with {last.target_labels} target labels"), ("decision", last.why)]


def _shared(status: Status) -> list[tuple[str, RenderableType]]:
    if not status.found:
        return []
    return [("label book", saved_words(status.found, status.saved))]


def _rate(status: Status) -> str:
    if status.rate is None:
        return "–"
    said = f"{three_digits(status.rate)} core-seconds a second"
    if status.seconds_to_go is None:
        return said
    return f"{said}; {duration(status.seconds_to_go)} of labelling to go"


def _tier_states(status: Status) -> Table:
    names = ("done", "running", "failed", "core-hours", "wasted")
    rows = (
        (
            row.tier.value,
            row.method,
            _done(row.done, row.planned),
            str(row.in_flight),
            str(row.failed),
            three_digits(row.spent / 3600),
            three_digits(row.wasted / 3600),
        )
        for row in status.tiers
    )
    table = tier_table(names, rows)
    if any(row.wasted for row in status.tiers):
        table.caption = "wasted: core-hours of attempts that failed or were cut off"
    return table


def _done(done: int, planned: int) -> str:
    """`12/17`, or `17 + 20` where the money bought more than was planned."""
    if not planned:
        return f"{done:,}"
    more = done - planned
    return f"{planned:,} + {more:,}" if more > 0 else f"{done:,}/{planned:,}"


def show_checkup(console: Console, found: Checkup) -> None:
    """What the doctor found."""
    facts = grid(
        [
            ("python", f"{found.python} on {found.system}"),
            ("cores", str(found.cores)),
            ("memory for labels", gigabytes(found.memory_bytes)),
            ("disk free here", gigabytes(found.disk_free_bytes)),
            ("GPU", found.gpu or "none (labels and training run on the CPU)"),
            ("threads", ", ".join(f"{k}={v}" for k, v in found.threads.items()) or "not limited"),
        ]
    )
    programs = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("library", "version", "for"):
        programs.add_column(name)
    for program in found.programs:
        version = program.version or Text("missing", style="bold red")
        programs.add_row(program.name, version, program.purpose)
    advice = Text(
        "\n".join(found.advice) or "All is well.", style="yellow" if found.advice else "green"
    )
    console.print(panel("Doctor", facts, programs, advice))


def show_evaluation(console: Console, found: Evaluation) -> None:
    """Errors of force field and baseline."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("force MAE", "95 % interval", "force RMSE", "energy MAE*"):
        table.add_column(name, justify="right", no_wrap=True)
    for errors in (found.force_field, found.baseline):
        table.add_row(
            errors.name,
            three_digits(errors.force_mae),
            f"{three_digits(errors.low)} – {three_digits(errors.high)}",
            three_digits(errors.force_rmse),
            three_digits(errors.energy_mae),
        )
    note = (
        f"kcal/mol/Å and kcal/mol against {found.method} on {found.frames} {found.test_set} frames."
        " * Of energies less their mean."
    )
    if found.imitates:
        note += f" The force field imitates {found.imitates}."
    parts: list[RenderableType] = [table, Text(note, style="dim"), Text(verdict(found))]
    if len(found.force_field.by_distance) > 1:
        parts.insert(1, by_distance_table(found))
    console.print(panel("Errors", *parts))


def show_result(console: Console, result: Result) -> None:
    """What a finished run left."""
    show_evaluation(console, result.evaluation)
    left = amount(result.left, result.budget)
    spent = f"{amount(result.spent, result.budget)} of {result.budget}, {left} left"
    rows: list[tuple[str, RenderableType]] = [
        ("spent", spent),
        ("labels", "; ".join(result.labels)),
        *([("the end", result.why)] if result.why else []),
    ]
    console.print(grid(rows))
    for name, place in (("force field", result.force_field), ("report", result.report)):
        console.print(f"{name:<11}  {place}", soft_wrap=True, markup=False)
