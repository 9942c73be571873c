"""What a plan says of the error at its end, of other budgets, and when not to spend at all.

Errors are forecast by the error model before any training on this molecule, from what other
molecules have shown; rounds of the run refit it. They are mean absolute errors of force components
in kcal/mol/Å.
"""

from dataclasses import dataclass, replace

from forgefield.platform.planning.allocation import NOTHING, TARGET, Allocation
from forgefield.platform.planning.at_once import at_once_words
from forgefield.platform.planning.budget import Budget, rounded_up
from forgefield.platform.planning.offers import Offer
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.quote_parts import (
    SLIGHT,
    USELESS,
    Alternative,
    ErrorForecast,
    TargetQuote,
    hopeless,
)
from forgefield.platform.screen.wording import UNIT, duration, three_digits
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Molecule

FACTORS = (0.5, 2.0, 10.0)
"""Budgets that are quoted beside the one asked for."""
LARGEST_SEEN = 21
"""Atoms of the largest molecule that the priors were fitted to (aspirin, two errors of it)."""
FOUNDATION = 0.4
"""kcal/mol/Å: how near foundation models come to their own DFT for organic molecules, to about a
factor of two either way. An order of magnitude, not measured here."""
FOUNDATION_ELEMENTS = frozenset({1, 6, 7, 8, 9, 15, 16, 17, 35, 53})
"""Elements of MACE-OFF, arXiv 2312.15211."""


@dataclass(frozen=True, slots=True)
class Expected:
    """All that a plan says of errors."""

    forecast: ErrorForecast
    without_imports: ErrorForecast | None
    sentence: str
    alternatives: tuple[Alternative, ...]
    target: TargetQuote | None
    warnings: tuple[str, ...]


def expected(offer: Offer, target: float | None) -> Expected:
    """Forecast, alternatives, target and warnings of an offer."""
    forecast = as_document(offer.outlook, offer.allocation, offer.cap)
    quote = None if target is None else target_quote(offer, target)
    sentence = (
        f"{three_digits(forecast.median)} {UNIT}; in 8 of 10 cases between "
        f"{three_digits(forecast.low)} and {three_digits(forecast.high)}"
    )
    others = (alternative(offer, factor) for factor in FACTORS)
    return Expected(
        forecast,
        _without_imports(offer),
        sentence,
        tuple(other for other in others if other is not None),
        quote,
        tuple(_warnings(offer, forecast, quote)),
    )


def _without_imports(offer: Offer) -> ErrorForecast | None:
    """What the same money would bring if nothing were there; None where nothing is."""
    if not any(offer.outlook.imported.values()):
        return None
    bare = replace(offer.outlook, imported=NOTHING)
    return as_document(bare, bare.split(offer.cap), offer.cap)


def as_document(outlook: Outlook, allocation: Allocation, core_seconds: float) -> ErrorForecast:
    """The forecast as a part of the plan."""
    return ErrorForecast.of(outlook.forecast(allocation, core_seconds))


def alternative(offer: Offer, factor: float) -> Alternative | None:
    """What `factor` times the budget brings; None where that is too little for a campaign."""
    try:
        other = offer.times(factor)
    except BudgetTooSmall:
        return None
    counts = other.outlook.counts(other.allocation)
    return Alternative(
        budget=str(other.budget),
        core_seconds=other.cap,
        target=counts.target,
        middle=counts.middle,
        error=as_document(other.outlook, other.allocation, other.cap),
        wall_s=other.wall_s(other.machine),
    )


def target_quote(offer: Offer, target: float) -> TargetQuote:
    """The budget for a target error in the offer's unit, and the chance that this one has."""
    core_seconds = offer.outlook.budget_for(target)
    budget = None
    if core_seconds is not None:
        amount = rounded_up(core_seconds / offer.unit_core_seconds)
        budget = str(Budget(amount, offer.budget.unit))
    chance = offer.chance(target)
    return TargetQuote(asked=target, budget=budget, core_seconds=core_seconds, chance=chance)


def _warnings(offer: Offer, forecast: ErrorForecast, target: TargetQuote | None) -> list[str]:
    said = []
    if target is not None and target.chance < SLIGHT:
        said.append(_hopeless_target(offer, target))
    elif hopeless(forecast):
        said.append(
            f"Hopeless: more than {USELESS:g} {UNIT} is expected in nine of ten cases. "
            "Raise the budget, or name a target error with --target to learn what it costs."
        )
    outlook, asked = offer.outlook, target.asked if target else None
    bought = outlook.counts(offer.allocation).target - outlook.imported.get(TARGET, 0)
    if words := at_once_words(outlook.recipe, bought, asked):
        said.append(words)
    atoms = len(offer.molecule.numbers)
    if atoms > LARGEST_SEEN:
        said.append(
            f"The forecast rests on molecules of up to {LARGEST_SEEN} atoms; for {atoms} it is an "
            "extrapolation, which nothing measured stands behind."
        )
    if _foundation_would_do(offer.molecule, forecast):
        said.append(
            "A plain foundation model may do: MACE-OFF and its like cost no labels and follow "
            f"their own DFT to some tenths of a {UNIT} for molecules like this, and this budget "
            "isn't expected to do better. A few target labels show how far they are from it."
        )
    unspent = offer.cap - offer.allocation.cost(offer.outlook.label_cost)
    if unspent > offer.cap / 2:
        most = offer.outlook.recipe.allocation.most_target
        said.append(
            f"More than half of the budget, {duration(unspent)} of a core, stays unspent: a plan "
            f"has {most:,} target labels at most (allocation.most_target in the recipe)."
        )
    return said


def _hopeless_target(offer: Offer, target: TargetQuote) -> str:
    said = (
        f"Hopeless: {offer.budget} reaches {target.asked:g} {UNIT} in less than one case in ten. "
    )
    if target.budget is None:
        return said + "No budget is expected to: labels or the model's own limits stand against it."
    return said + f"Give {target.budget}, or a larger target."


def _foundation_would_do(molecule: Molecule, forecast: ErrorForecast) -> bool:
    plain = molecule.charge == 0 and molecule.multiplicity == 1
    return plain and {*molecule.numbers} <= FOUNDATION_ELEMENTS and forecast.median >= FOUNDATION
