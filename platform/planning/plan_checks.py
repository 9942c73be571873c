"""Whether a plan agrees with itself: one that was edited by hand is refused before it is run.

Everything that a plan says twice must be the same: what the budget is worth at its costs, the
methods of its tiers and of its recipe, slots and cores. A plan may be edited where that stays so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.budget import parse_budget, unit_core_seconds, worth_micro
from forgefield.platform.screen.wording import duration, three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose

if TYPE_CHECKING:
    from forgefield.platform.planning.plan import Plan, TierQuote

ROUNDING = 1e-9
HEAVIEST_ELEMENT = 118
KEPT = frozenset({Purpose.VALIDATION, Purpose.HOLDOUT})


def refuse_inconsistency(plan: "Plan", path: str | Path) -> None:
    """Raise `InputError` naming the first thing that doesn't agree, and the next step."""
    for found in _contradictions(plan):
        raise InputError(
            f"{path} contradicts itself: {found}. Don't edit it by hand; make a new one with "
            "`platform plan`, changing the budget or the recipe."
        )


def _contradictions(plan: "Plan") -> Iterator[str]:
    for quote in plan.tiers:
        yield from _of_tier(plan, quote)
    yield from _of_money(plan)
    yield from _of_machine(plan)
    yield from _of_molecule(plan)


def _of_tier(plan: "Plan", quote: "TierQuote") -> Iterator[str]:
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


def _of_money(plan: "Plan") -> Iterator[str]:
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


def _of_machine(plan: "Plan") -> Iterator[str]:
    threads = {quote.threads for quote in plan.tiers} | {plan.threads}
    asked = plan.recipe.labels.threads
    if len(threads) > 1 or asked not in (None, plan.threads):
        several = sorted(threads | ({asked} if asked else set()))
        yield f"labels have {' and '.join(map(str, several))} threads"
    if not plan.wall:
        yield "it quotes no machine"
        return
    cores = plan.wall[0].nodes * plan.wall[0].cores
    if plan.slots * plan.threads > cores:
        at_once = f"{plan.slots} labels of {plan.threads} threads at a time"
        yield f"{at_once} need more than {cores} cores"
    fits = all(quote.fits for quote in plan.tiers)
    if not fits and plan.slots:
        yield f"a label doesn't fit into a node's memory, yet {plan.slots} run at a time"


def _of_molecule(plan: "Plan") -> Iterator[str]:
    molecule = plan.molecule
    strange = [z for z in molecule.numbers if not 1 <= z <= HEAVIEST_ELEMENT]
    if strange:
        yield f"{strange[0]} is no atomic number"
    if (sum(molecule.numbers) - molecule.charge + molecule.multiplicity) % 2 == 0:
        electrons = sum(molecule.numbers) - molecule.charge
        yield f"{electrons} electrons can't have the multiplicity {molecule.multiplicity}"
