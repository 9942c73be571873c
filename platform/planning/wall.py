"""How long the labels of an allocation take on a machine."""

from collections.abc import Mapping

from forgefield.platform.planning.allocation import TARGET, Allocation
from forgefield.platform.planning.machine import Machine, wall_seconds
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.throughput import choose_slots
from forgefield.storage.records import Tier


def wall_of(
    allocation: Allocation,
    label_cost: Mapping[Tier, float],
    machine: Machine,
    label_bytes: int,
    recipe: Recipe,
    in_turn_s: float = 0.0,
) -> float | None:
    """Seconds; None where a label doesn't fit into a node.

    `in_turn_s` are those that no number of nodes shortens: rounds wait for what came before.
    """
    target = recipe.methods.of(TARGET)
    slots = choose_slots(machine, label_bytes, recipe.labels.threads, target).slots
    if not slots.count:
        return None
    labels_s = wall_seconds(allocation.cost(label_cost), max(label_cost.values()), slots)
    return max(labels_s, in_turn_s)
