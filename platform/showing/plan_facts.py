"""The facts of a quote, a row each: money, time, memory, disk and the error to expect."""

from rich.console import RenderableType
from rich.table import Table

from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.quote_parts import ErrorForecast
from forgefield.platform.screen.panels import grid
from forgefield.platform.screen.wording import (
    UNIT,
    amount,
    counted,
    duration,
    gigabytes,
    three_digits,
)

ONE_IN_TWO_HUNDRED = 0.005


def facts(plan: Plan) -> Table:
    """All of them."""
    cost = amount(plan.in_budget_units(plan.cost), plan.budget)
    rows: list[tuple[str, RenderableType]] = [
        ("molecule", f"{plan.molecule.name} ({len(plan.molecule.numbers)} atoms)"),
        ("budget", f"{plan.budget} = {three_digits(plan.cap / 3600)} core-hours"),
        ("planned cost", f"{cost} = {three_digits(plan.cost / 3600)} core-hours"),
        *_imported(plan),
        ("labelling takes", _wall(plan)),
        *_training(plan),
        *_resources(plan),
        ("expected error", plan.expected_error),
        *_target(plan),
    ]
    return grid(rows)


def _wall(plan: Plan) -> str:
    if all(wall.seconds is None for wall in plan.wall):
        return "for ever: a label doesn't fit into a node"
    parts: list[str] = []
    for wall in plan.wall:
        nodes = "1 node" if wall.nodes == 1 else f"{wall.nodes} nodes"
        cores = "1 core" if wall.cores == 1 else f"{wall.cores} cores"
        said = duration(wall.seconds) if wall.seconds is not None else "a label doesn't fit"
        again = parts and wall.cores == plan.wall[0].cores
        parts.append(f"{said} on {nodes}" if again else f"{said} on {nodes} of {cores}")
    return ", ".join(parts)


def _training(plan: Plan) -> list[tuple[str, RenderableType]]:
    time, effort = plan.training_time, plan.training_effort
    if time is None:
        return []
    said = f"{duration(time.wall_s)} (×/÷ {three_digits(time.factor)}) here in the end"
    steps = "" if effort == 1 else f", {three_digits(effort)} times the recipe's steps"
    rounds = ""
    if time.rounds:
        each = duration(time.round_core_seconds)
        rounds = f", after up to {time.rounds} rounds of {each} of a core beside the labels"
        if time.round_wall_s:
            rounds += f" ({duration(time.round_wall_s)} each on however many nodes)"
    return [("training takes", f"{said}{steps}{rounds}; free of charge")]


def _imported(plan: Plan) -> list[tuple[str, RenderableType]]:
    there = [f"{quote.imported:,} {quote.tier}" for quote in plan.tiers if quote.imported]
    if not there:
        return []
    said = f"{' + '.join(there)} labels to train on, at no cost"
    if plan.forecast_without_imports is not None:
        said += f"; without them {_forecast(plan.forecast_without_imports)} is expected"
    return [("there already", said)]


def _forecast(error: ErrorForecast) -> str:
    """`0.3 (0.1–0.9)`."""
    median, band = error_words(error)
    return f"{median} ({band})"


def _resources(plan: Plan) -> list[tuple[str, RenderableType]]:
    rows: list[tuple[str, RenderableType]] = []
    if plan.memory is not None:
        memory = plan.memory
        workers = counted(memory.workers, "worker") if memory.workers else "a single label"
        needed, have = gigabytes(memory.needed_bytes), gigabytes(memory.node_bytes)
        rows.append(("memory", f"{needed} for {workers}; a node here has {have} for labels"))
    if plan.disk is not None:
        training = gigabytes(plan.disk.training)
        rows.append(("disk", f"{gigabytes(plan.disk.total)} at most, {training} of it training"))
    return rows


def _target(plan: Plan) -> list[tuple[str, RenderableType]]:
    target = plan.target
    if target is None:
        return []
    said = f"{target.asked:g} {UNIT}: {_chance(target.chance)} with this budget; "
    if target.core_seconds is None or target.budget is None:
        return [("target error", said + "no budget makes it likelier than not")]
    hours = three_digits(target.core_seconds / 3600)
    return [("target error", f"{said}{target.budget} ({hours} core-hours) make it an even chance")]


def _chance(chance: float) -> str:
    if chance < ONE_IN_TWO_HUNDRED:
        return "out of reach"
    return (
        "as good as certain" if chance > 1 - ONE_IN_TWO_HUNDRED else f"{100 * chance:.0f} % likely"
    )


def error_words(error: ErrorForecast) -> tuple[str, str]:
    """Median, and the range of 8 of 10 cases."""
    low, high = three_digits(error.low), three_digits(error.high)
    return three_digits(error.median), f"{low}–{high}"
