"""Making a plan: molecule, costs and machines in, `Plan` out; nothing is computed or spent."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from forgefield.platform.planning.allocation import TARGET, Allocation, allocate
from forgefield.platform.planning.budget import Budget, unit_core_seconds, worth_micro
from forgefield.platform.planning.machine import Machine, Slots, wall_seconds
from forgefield.platform.planning.plan import Plan, TierCost, TierQuote, WallTime, to_document
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.throughput import choose_slots
from forgefield.storage.records import Molecule, Purpose, Tier
from forgefield.storage.units import from_micro


def make_plan(
    molecule: Molecule,
    budget: Budget,
    costs: Mapping[Tier, TierCost],
    machines: Sequence[Machine],
    recipe: Recipe,
    workdir: str,
) -> Plan:
    """Split the budget at these costs; raises `BudgetTooSmall` where it is hopeless.

    `machines[0]` is the one at hand; wall time is quoted for each.
    """
    label_cost = {tier: cost.core_seconds for tier, cost in costs.items()}
    cap_micro = worth_micro(budget, label_cost, recipe.prices)
    allocation = allocate(from_micro(cap_micro), label_cost, recipe.allocation)
    memory = max(cost.memory_bytes for cost in costs.values())
    target = recipe.methods.of(TARGET)
    choice = choose_slots(machines[0], memory, recipe.labels.threads, target)
    slots = choice.slots
    return Plan(
        forgefield=version("forgefield"),
        created=time.time(),
        molecule=to_document(molecule),
        budget=str(budget),
        unit_core_seconds=unit_core_seconds(budget.unit, label_cost, recipe.prices),
        cap_micro=cap_micro,
        calibrated=all(cost.measured for cost in costs.values()),
        tiers=tuple(
            _quote(tier, costs[tier], allocation, machines[0], slots, recipe) for tier in Tier
        ),
        slots=slots.count,
        threads=slots.threads,
        slots_why=choice.why,
        wall=_wall_times(allocation, costs, machines, recipe),
        expected_error=expected_error(molecule.name, allocation.of(TARGET, Purpose.TRAIN)),
        workdir=workdir,
        recipe=recipe,
    )


def _quote(
    tier: Tier,
    cost: TierCost,
    allocation: Allocation,
    machine: Machine,
    slots: Slots,
    recipe: Recipe,
) -> TierQuote:
    counts = {p.name.lower(): allocation.of(tier, p) for p in Purpose if allocation.of(tier, p)}
    return TierQuote(
        tier=tier,
        method=recipe.methods.of(tier),
        core_seconds=cost.core_seconds,
        low=cost.low,
        high=cost.high,
        memory_bytes=cost.memory_bytes,
        threads=slots.threads,
        measured=cost.measured,
        fits=cost.memory_bytes <= machine.memory_bytes,
        labels=counts,
    )


def _wall_times(
    allocation: Allocation,
    costs: Mapping[Tier, TierCost],
    machines: Sequence[Machine],
    recipe: Recipe,
) -> tuple[WallTime, ...]:
    work = allocation.cost({tier: cost.core_seconds for tier, cost in costs.items()})
    longest = max(cost.core_seconds for cost in costs.values())
    memory = max(cost.memory_bytes for cost in costs.values())
    target = recipe.methods.of(TARGET)
    wall = []
    for machine in machines:
        slots = choose_slots(machine, memory, recipe.labels.threads, target).slots
        seconds = wall_seconds(work, longest, slots) if slots.count else None
        wall.append(WallTime(nodes=machine.nodes, cores=machine.cores, seconds=seconds))
    return tuple(wall)


PUBLISHED = {
    "aspirin": 0.908,
    "benzene": 0.059,
    "malonaldehyde": 0.338,
    "toluene": 0.306,
    "ethanol": 0.176,
}
"""Force MAE, kcal/mol/Å, of ASTEROID with GemNet at 200 + 50 labels (arXiv 2306.03109, Table 3)."""


def expected_error(molecule: str, training_labels: int) -> str:
    """What can honestly be said of the error before any model of this molecule exists."""
    said = (
        f"can't be said yet: no force field of {molecule} has been trained, and an error can't "
        f"be derived from {training_labels} planned labels alone. The hold-out will measure it."
    )
    if molecule in PUBLISHED:
        said += (
            f" For orientation only: {PUBLISHED[molecule]} kcal/mol/Å is published for 200 "
            "coupled-cluster and 2000 DFT labels (ASTEROID with GemNet, MD17 frames)."
        )
    return said
