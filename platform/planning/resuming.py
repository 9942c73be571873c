"""A settled plan under today's settings: what follows from them is worked out again.

How labels run and how training goes may change between starts; what is bought may not.
"""

from typing import Any

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.machine import Machine, this_machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planned_labels import bought_target
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.training_length import training_effort
from forgefield.platform.planning.training_time import frame_time, training_time


def with_recipe(plan: Plan, recipe: Recipe) -> Plan:
    """The plan with another recipe: length and time of training, and threads of labels, follow."""
    changed: dict[str, Any] = {"recipe": recipe}
    if recipe.training.effort != plan.recipe.training.effort:
        effort = training_effort(plan.cap, len(plan.molecule.numbers), recipe)
        changed["training_effort"] = effort
    if recipe.labels.threads not in (None, plan.threads):
        changed |= _threads(plan, recipe)
    found = plan.model_copy(update=changed)
    before = plan.recipe.training, plan.recipe.rounds
    if plan.training_time is None or before == (recipe.training, recipe.rounds):
        return found
    frame = frame_time(plan.molecule.to_record(), recipe.training)
    rounds = recipe.rounds.number(bought_target(found))
    took = training_time(found.training, frame, _machine(plan), recipe.rounds, rounds)
    return found.model_copy(update={"training_time": took})


def _threads(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """How labels share the machine; `wall` and `memory` stay what was quoted before."""
    memory = max(quote.memory_bytes for quote in plan.tiers)
    target = recipe.methods.of(TARGET)
    choice = choose_slots(_machine(plan), memory, recipe.labels.threads, target)
    threads = choice.slots.threads
    tiers = tuple(quote.model_copy(update={"threads": threads}) for quote in plan.tiers)
    slots = {"slots": choice.slots.count, "threads": threads, "slots_why": choice.why}
    return {**slots, "tiers": tiers}


def _machine(plan: Plan) -> Machine:
    """The one at hand when the plan was made."""
    here = plan.wall[0]
    memory = plan.memory.node_bytes if plan.memory else this_machine().memory_bytes
    return Machine(here.nodes, here.cores, memory)
