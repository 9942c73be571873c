"""Making a plan: molecule, costs and machines in, `Plan` out; nothing is computed or spent."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from forgefield.platform.planning.allocation import NOTHING, TARGET, Allocation
from forgefield.platform.planning.budget import Budget, worth_micro
from forgefield.platform.planning.cost_scaling import Scaled
from forgefield.platform.planning.expectations import expected
from forgefield.platform.planning.machine import QUOTED, Machine, Slots
from forgefield.platform.planning.molecule_document import to_document
from forgefield.platform.planning.offers import Offer
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.quote_parts import WallTime
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.resources import disk_quote, memory_quote
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.tier_quotes import TierCost, TierQuote
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule, Purpose, Tier
from forgefield.storage.units import MICRO, from_micro

LONGEST_YEARS = 1000.0
YEAR_S = 365.25 * 86400
MOST_MICRO = 2**63 - 1
"""What a ledger can count to."""


def make_plan(
    molecule: Molecule,
    budget: Budget,
    costs: Mapping[Tier, TierCost],
    machines: Sequence[Machine],
    recipe: Recipe,
    workdir: str,
    target: float | None = None,
    frame: Scaled | None = None,
    imported: Mapping[Tier, int] = NOTHING,
    left_out: Sequence[str] = (),
) -> Plan:
    """Split the budget at these costs; raises `BudgetTooSmall` where it is hopeless.

    `machines[0]` is the one at hand; wall time is quoted for each. `target` is a force error in
    kcal/mol/Å, `frame` the time of a training frame here, `imported` training labels by tier that
    are there at no cost, `left_out` says which are none of them. Raises `InputError` for a budget
    that nobody can spend.
    """
    label_cost = {tier: cost.core_seconds for tier, cost in costs.items()}
    cap_micro = worth_micro(budget, label_cost, recipe.prices)
    refuse_absurd(budget, cap_micro, machines[-1].cores)
    outlook = Outlook.before_any_training(len(molecule.numbers), label_cost, recipe, imported)
    cap, here = from_micro(cap_micro), machines[0]
    allocation = outlook.split(cap)
    memory = max(cost.memory_bytes for cost in costs.values())
    offer = Offer(outlook, budget, cap, allocation, here, molecule, memory, frame)
    found = expected(offer, target)
    choice = choose_slots(here, memory, recipe.labels.threads, recipe.methods.of(TARGET))
    slots, document = choice.slots, to_document(molecule)
    return Plan(
        forgefield=version("forgefield"),
        created=time.time(),
        molecule=document,
        priced_for=document.key(),
        budget=str(budget),
        unit_core_seconds=offer.unit_core_seconds,
        cap_micro=cap_micro,
        calibrated=all(cost.measured for cost in costs.values()),
        tiers=tuple(_quote(tier, costs[tier], offer, slots) for tier in Tier),
        slots=slots.count,
        threads=slots.threads,
        slots_why=choice.why,
        wall=tuple(
            WallTime(nodes=each.nodes, cores=each.cores, seconds=offer.wall_s(each))
            for each in machines
        ),
        memory=memory_quote(memory, slots.count // here.nodes, here),
        disk=disk_quote(_labels(allocation), outlook.atoms, slots.count, recipe, offer.rounds),
        expected_error=found.sentence,
        forecast=found.forecast,
        forecast_without_imports=found.without_imports,
        alternatives=found.alternatives,
        target=found.target,
        warnings=(*left_out, *found.warnings),
        workdir=workdir,
        training_effort=offer.effort,
        training_time=offer.training_time,
        recipe=recipe,
    )


def refuse_absurd(budget: Budget, cap_micro: int, cores_per_node: int) -> None:
    """Raise `InputError` for a budget that the largest quoted cluster spends in a millennium."""
    years = cap_micro / MICRO / (max(QUOTED) * cores_per_node) / YEAR_S
    if years > LONGEST_YEARS or cap_micro > MOST_MICRO:
        raise InputError(
            f"A budget of {budget} would keep {max(QUOTED)} nodes of {cores_per_node} cores busy "
            f"for {three_digits(years)} years. Give one that can be spent, such as 250ccsd."
        )


def _labels(allocation: Allocation) -> int:
    return sum(allocation.of(tier) for tier in Tier)


def _quote(tier: Tier, cost: TierCost, offer: Offer, slots: Slots) -> TierQuote:
    allocation, outlook = offer.allocation, offer.outlook
    counts = {p.name.lower(): allocation.of(tier, p) for p in Purpose if allocation.of(tier, p)}
    return TierQuote(
        tier=tier,
        method=outlook.recipe.methods.of(tier),
        core_seconds=cost.core_seconds,
        low=cost.low,
        high=cost.high,
        memory_bytes=cost.memory_bytes,
        threads=slots.threads,
        measured=cost.measured,
        fits=cost.memory_bytes <= offer.machine.memory_bytes,
        labels=counts,
        source=cost.source,
        imported=outlook.imported.get(tier, 0),
    )
