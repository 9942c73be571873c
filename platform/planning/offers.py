"""What a budget offers: its split between tiers, and how long labels and trainings take with it.

Times in seconds, costs in core-seconds. All budgets of a quote are told by this one measure.
"""

from dataclasses import dataclass, replace

from forgefield.platform.planning.allocation import TARGET, Allocation
from forgefield.platform.planning.budget import Budget, unit_core_seconds
from forgefield.platform.planning.cost_scaling import Scaled
from forgefield.platform.planning.machine import Machine, wall_seconds
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.quote_parts import TrainingTime
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.training_length import training_effort
from forgefield.platform.planning.training_time import training_time
from forgefield.storage.records import Molecule


@dataclass(frozen=True, slots=True)
class Offer:
    """A budget with its split, for one molecule on one machine.

    `label_bytes` is the memory of the largest label, `frame` the time of a training frame here
    where that is known.
    """

    outlook: Outlook
    budget: Budget
    cap: float
    allocation: Allocation
    machine: Machine
    molecule: Molecule
    label_bytes: int
    frame: Scaled | None = None

    def times(self, factor: float) -> "Offer":
        """What so many times the money offers; raises `BudgetTooSmall`."""
        cap = factor * self.cap
        budget = Budget(factor * self.budget.amount, self.budget.unit)
        return replace(self, budget=budget, cap=cap, allocation=self.outlook.split(cap))

    @property
    def unit_core_seconds(self) -> float:
        """What one unit of the budget is worth."""
        prices = self.outlook.recipe.prices
        return unit_core_seconds(self.budget.unit, self.outlook.label_cost, prices)

    def chance(self, error: float) -> float:
        """Probability that the error at the end is this (kcal/mol/Å) or less."""
        counts = self.outlook.counts(self.allocation)
        return self.outlook.at(self.cap).chance_below(error, counts)

    @property
    def effort(self) -> float:
        """How long the last training is, in multiples of the recipe's steps."""
        return training_effort(self.cap, self.outlook.atoms, self.outlook.recipe)

    @property
    def rounds(self) -> int:
        """Rounds at most; 0 for none."""
        outlook = self.outlook
        bought = outlook.counts(self.allocation).target - outlook.imported.get(TARGET, 0)
        return outlook.recipe.rounds.number(bought)

    @property
    def training_time(self) -> TrainingTime | None:
        """Of the last training and of a round's, on the machine at hand."""
        if self.frame is None:
            return None
        recipe = self.outlook.recipe
        training = recipe.training.longer(self.effort)
        return training_time(training, self.frame, self.machine, recipe.rounds, self.rounds)

    def wall_s(self, machine: Machine) -> float | None:
        """Of the labels on a machine; None where one doesn't fit into a node.

        Not less than rounds take that wait for each other's labels and trainings.
        """
        recipe, costs = self.outlook.recipe, self.outlook.label_cost
        target = recipe.methods.of(TARGET)
        slots = choose_slots(machine, self.label_bytes, recipe.labels.threads, target).slots
        if not slots.count:
            return None
        longest = max(costs.values())
        labels_s = wall_seconds(self.allocation.cost(costs), longest, slots)
        training = self.training_time
        if training is None or not training.rounds:
            return labels_s
        in_turn = recipe.rounds.in_turn(training.rounds)
        return max(labels_s, in_turn * (longest + training.round_wall_s))
