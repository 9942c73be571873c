"""Whether a plan agrees with itself: one that was edited by hand is refused before it is run.

Everything that a plan says twice must be the same: what the budget is worth at its costs, how long
it trains, the methods of its tiers and of its recipe, slots and cores. What a recipe asks of every
plan (calibration, the fewest labels to train on and to be judged by, the most of the target tier)
must be there. A plan may be edited where that stays so. `imported` isn't held against the run
folder: labels may have been withdrawn or imported there since.
"""

from collections.abc import Iterator
from pathlib import Path

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.budget import (
    is_budget,
    parse_budget,
    unit_core_seconds,
    worth_micro,
)
from forgefield.platform.planning.molecule_checks import contradictions_of
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.targets import LARGEST, LEAST
from forgefield.platform.planning.tier_quotes import TierQuote
from forgefield.platform.planning.training_length import is_deserved, training_effort
from forgefield.platform.screen.wording import duration, three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose

ROUNDING = 1e-9
KEPT = frozenset({Purpose.VALIDATION, Purpose.HOLDOUT})


def refuse_inconsistency(plan: Plan, path: str | Path) -> None:
    """Raise `InputError` naming the first thing that doesn't agree, and the next step."""
    for found in _contradictions(plan):
        raise InputError(
            f"{path} contradicts itself: {found}. Don't edit it by hand; make a new one with "
            "`platform plan`, changing the budget or the recipe."
        )


def _contradictions(plan: Plan) -> Iterator[str]:
    for quote in plan.tiers:
        yield from _of_tier(plan, quote)
    yield from _of_money(plan)
    yield from _of_training(plan)
    yield from _of_machine(plan)
    yield from contradictions_of(plan.molecule)
    if plan.priced_for not in ("", plan.molecule.key()):
        yield f"its costs are not those of this {plan.molecule.name[:60]}; the molecule was changed"
    yield from _of_labels(plan)
    yield from _of_errors(plan)
    if not plan.workdir or "\0" in plan.workdir:
        yield "it names no run folder in workdir"


def _of_tier(plan: Plan, quote: TierQuote) -> Iterator[str]:
    tier, method = quote.tier, plan.recipe.methods.of(quote.tier)
    if quote.method != method:
        yield f"the tier {tier} is {quote.method}, in its recipe {method}"
    if not quote.low <= quote.core_seconds <= quote.high:
        costs = [duration(each) for each in (quote.core_seconds, quote.low, quote.high)]
        yield f"a {tier} label costs {costs[0]}, which is not between {costs[1]} and {costs[2]}"
    purposes = {purpose.name.lower(): purpose for purpose in Purpose}
    unknown = sorted(quote.labels.keys() - purposes)
    if unknown:
        yield f"{tier} labels are for {', '.join(unknown)}, which is none of {', '.join(purposes)}"
    kept = sum(quote.labels.get(purpose.name.lower(), 0) for purpose in KEPT)
    if kept and tier != TARGET:
        yield f"{kept} {tier} labels validate or are held out; only the target tier's may"
    if plan.calibrated and not quote.measured:
        yield f"it is called calibrated, but no {tier} label was measured"


def _of_labels(plan: Plan) -> Iterator[str]:
    settings = plan.recipe.allocation
    for quote in plan.tiers:
        calibration = quote.labels.get("calibration", 0)
        wanted = settings.calibration(quote.tier)
        if calibration != wanted:
            yield f"{calibration} {quote.tier} labels calibrate, by its recipe {wanted}"
    fewest = {
        "train": settings.fewest_train,
        "validation": settings.fewest_validation,
        "holdout": settings.fewest_holdout,
    }
    target = plan.tier(TARGET)
    for purpose, least in fewest.items():
        number = target.labels.get(purpose, 0)
        if number < least:
            yield f"{number} {TARGET} labels are for {purpose}, by its recipe at least {least}"
    if target.total > settings.most_target:
        yield f"{target.total} {TARGET} labels are more than its recipe's {settings.most_target}"


def _of_errors(plan: Plan) -> Iterator[str]:
    forecasts = [each.error for each in plan.alternatives]
    for error in [plan.forecast, *forecasts] if plan.forecast else forecasts:
        if not error.low <= error.median <= error.high:
            yield (
                f"an error of {error.median:.3g} is forecast, which is not between "
                f"{error.low:.3g} and {error.high:.3g}"
            )
    budgets = [each.budget for each in plan.alternatives]
    if plan.target is not None:
        budgets += [plan.target.budget] if plan.target.budget is not None else []
        if not LEAST <= plan.target.asked <= LARGEST:
            yield f"a target error lies between {LEAST:g} and {LARGEST:g} kcal/mol/Å"
    for budget in budgets:
        if not is_budget(budget):
            yield f"{budget[:60]!r} is not a budget"


def _of_money(plan: Plan) -> Iterator[str]:
    budget = parse_budget(plan.budget)
    costs, prices = {q.tier: q.core_seconds for q in plan.tiers}, plan.recipe.prices
    unit = unit_core_seconds(budget.unit, costs, prices)
    if abs(unit - plan.unit_core_seconds) > ROUNDING * unit:
        yield (
            f"one {budget.unit} is worth {duration(unit)} of a core at its costs and prices, not "
            f"{duration(plan.unit_core_seconds)}"
        )
    worth = worth_micro(budget, costs, prices)
    if abs(worth - plan.cap_micro) > max(1, ROUNDING * worth):
        yield (
            f"{plan.budget} is worth {three_digits(worth / 1e6)} core-seconds at its costs, but "
            f"its cap is {three_digits(plan.cap)}"
        )
    if plan.cost > plan.cap * (1 + ROUNDING):
        yield (
            f"its labels cost {three_digits(plan.cost)} core-seconds, more than the "
            f"{three_digits(plan.cap)} that {plan.budget} is worth"
        )


def _of_training(plan: Plan) -> Iterator[str]:
    """Plans of before have no key of their molecule, and may say nothing of their effort."""
    atoms = len(plan.molecule.numbers)
    if not plan.priced_for or not atoms:
        return
    if not is_deserved(plan.training_effort, plan.cap, atoms, plan.recipe):
        effort = training_effort(plan.cap, atoms, plan.recipe)
        yield (
            f"it trains {plan.training_effort:g} times its recipe's steps (training_effort), but "
            f"{plan.budget} and its recipe make that {effort:g}"
        )


def _of_machine(plan: Plan) -> Iterator[str]:
    threads = {quote.threads for quote in plan.tiers} | {plan.threads}
    asked = plan.recipe.labels.threads
    if len(threads) > 1 or asked not in (None, plan.threads):
        several = sorted(threads | ({asked} if asked else set()))
        yield f"labels have {' and '.join(map(str, several))} threads"
    if not plan.wall:
        yield "it quotes no machine"
        return
    for wall in plan.wall:
        if wall.seconds is not None and wall.seconds < 0:
            yield f"its labels take {wall.seconds:.3g} s"
    cores = plan.wall[0].nodes * plan.wall[0].cores
    if plan.slots * plan.threads > cores:
        at_once = f"{plan.slots} labels of {plan.threads} threads at a time"
        yield f"{at_once} need more than {cores} cores"
    fits = all(quote.fits for quote in plan.tiers)
    if not fits and plan.slots:
        yield f"a label doesn't fit into a node's memory, yet {plan.slots} run at a time"
