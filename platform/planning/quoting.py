"""Costs of a label at each tier: estimated before anything is spent, measured by calibration."""

from collections.abc import Mapping, Sequence

from forgefield.labelers.registry import labeler_for
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import TierCost
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.errors import InputError
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Molecule, Purpose, Tier

SPREAD_OF_A_FEW = 1.3
"""Factor around the mean of two or three measured labels that nine in ten stay within."""


def estimated_costs(molecule: Molecule, recipe: Recipe) -> dict[Tier, TierCost]:
    """Cost-model estimates; raises `InputError` where a method can't do this molecule."""
    costs = {}
    for tier in Tier:
        labeler = labeler_for(recipe.methods.of(tier))
        labeler.available()
        labeler.check(molecule)
        guess = labeler.estimate(molecule)
        costs[tier] = TierCost(guess.core_seconds, guess.low, guess.high, guess.memory_bytes)
    return costs


def measured_costs(
    estimates: Mapping[Tier, TierCost],
    tally: Sequence[TierTally],
    found: Mapping[Tier, Sequence[float]] | None = None,
) -> dict[Tier, TierCost]:
    """Means of the calibration labels; raises `InputError` where a tier has none.

    `found` holds the core-seconds of labels that earlier runs measured on this machine; labels
    that were taken over at no cost measure nothing themselves.
    """
    known = {tier: _measurements(tier, tally, (found or {}).get(tier, ())) for tier in Tier}
    missing = [tier.value for tier in Tier if not known[tier][0]]
    if missing:
        raise InputError(
            f"No calibration label of {', '.join(missing)} succeeded; `platform status` shows why. "
            "Choose another method in the recipe or another starting geometry."
        )
    return {tier: _measured(estimates[tier], *known[tier]) for tier in Tier}


def _measurements(
    tier: Tier, tally: Sequence[TierTally], found: Sequence[float]
) -> tuple[int, float]:
    """How many labels measure the cost of a tier, and the core-seconds of all of them."""
    number, total = len(found), float(sum(found))
    for row in tally:
        bought = row.done - row.adopted
        if (row.tier, row.purpose) == (tier, Purpose.CALIBRATION) and bought > 0:
            number += bought
            total += bought * row.mean_core_seconds
    return number, total


def _measured(estimate: TierCost, number: int, total: float) -> TierCost:
    mean = total / number
    return TierCost(
        core_seconds=mean,
        low=mean / SPREAD_OF_A_FEW,
        high=mean * SPREAD_OF_A_FEW,
        memory_bytes=estimate.memory_bytes,
        measured=number,
    )


def refuse_what_does_not_fit(
    costs: Mapping[Tier, TierCost], recipe: Recipe, machine: Machine
) -> None:
    """Raise `InputError` if a label doesn't fit into the memory or the cores of one node."""
    for tier, cost in costs.items():
        if cost.memory_bytes > machine.memory_bytes:
            raise InputError(
                f"A {recipe.methods.of(tier)} label needs about {cost.memory_bytes / 1e9:.0f} GB; "
                f"a node here offers {machine.memory_bytes / 1e9:.0f} GB to labels. Join a larger "
                "one with --ray-address, or choose another method in the recipe; "
                "`platform plan --no-calibrate` still quotes it."
            )
    threads = recipe.labels.threads or 1
    if threads > machine.cores:
        raise InputError(
            f"labels.threads = {threads}, but a node here has {machine.cores} cores. Lower it."
        )
