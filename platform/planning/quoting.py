"""Costs of a label at each tier: estimated before anything is spent, measured by calibration.

An estimate is the formula of the method, scaled by what its labels of other molecules have cost on
this host (`cost_scaling`) where any have, on however many threads: large labels have all the cores
that small ones shared. What calibration measures is kept for later plans.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forgefield.labelers.labeler import Estimate
from forgefield.platform.planning.allocation_settings import CHEAP
from forgefield.platform.planning.cost_scaling import Measured, Scaled, measured_cost, scaled_cost
from forgefield.platform.planning.cost_store import known_costs
from forgefield.platform.planning.machine import Machine, this_machine
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.screen.wording import counted, gigabytes
from forgefield.storage.errors import InputError
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Molecule, Purpose, Tier

GENERAL = "general model"
STATED = "stated price"
"""Of labels that are replayed from a file, or pose as others at a price."""


def estimated_costs(
    molecule: Molecule, recipe: Recipe, machine: Machine | None = None
) -> dict[Tier, TierCost]:
    """What labels should cost here; raises `InputError` where a method can't do this molecule.

    Nothing is computed: formulas, and what labels of other molecules have cost on this host.
    """
    threads = _threads(molecule, recipe, machine or this_machine())
    costs = {}
    for tier, guess in general_estimates(molecule, recipe, threads).items():
        if recipe.stand_in(tier):
            costs[tier] = _of_stand_in(guess, STATED if recipe.is_priced(tier) else GENERAL)
        else:
            known = _known(tier, molecule, recipe, threads)
            costs[tier] = _estimated(composition(molecule), guess, known, threads)
    return costs


def measured_costs(
    estimates: Mapping[Tier, TierCost],
    tally: Sequence[TierTally],
    found: Mapping[Tier, Sequence[float]] | None = None,
    others: Mapping[Tier, Sequence[Measured]] | None = None,
) -> dict[Tier, TierCost]:
    """Means of the calibration labels; raises `InputError` where a tier has none.

    `found` holds the core-seconds of labels that earlier runs measured on this machine; labels
    that were taken over at no cost measure nothing themselves. `others` lend their scatter where
    fewer than three labels are known.
    """
    own = {tier: _measurements(tier, tally, (found or {}).get(tier, ())) for tier in Tier}
    missing = [tier.value for tier in Tier if own[tier] is None]
    if missing:
        raise InputError(
            f"No calibration label of {', '.join(missing)} succeeded; `platform status` shows why. "
            "Choose another method in the recipe or another starting geometry."
        )
    return {
        tier: _measured(estimates[tier], each, (others or {}).get(tier, ()))
        for tier, each in own.items()
        if each is not None
    }


def other_molecules(
    molecule: Molecule, recipe: Recipe, threads: int
) -> dict[Tier, tuple[Measured, ...]]:
    """What this host knows of the methods from molecules of another composition."""
    name = composition(molecule)
    known = {tier: _known(tier, molecule, recipe, threads) for tier in Tier}
    return {t: tuple(m for m in each if m.molecule != name) for t, each in known.items()}


def general_estimates(molecule: Molecule, recipe: Recipe, threads: int) -> dict[Tier, Estimate]:
    """The formulas alone."""
    guesses = {}
    for tier in Tier:
        labeler = recipe.labeler(tier)
        labeler.available()
        labeler.check(molecule)
        guesses[tier] = labeler.estimate(molecule, threads)
    return guesses


def composition(molecule: Molecule) -> str:
    """What a formula for the cost sees of a molecule: `8 1 1`, and charge and multiplicity."""
    numbers = " ".join(map(str, sorted(molecule.numbers, reverse=True)))
    return f"{numbers}, charge {molecule.charge}, multiplicity {molecule.multiplicity}"


def refuse_what_does_not_fit(
    costs: Mapping[Tier, TierCost], recipe: Recipe, machine: Machine
) -> None:
    """Raise `InputError` if a label doesn't fit into the memory or the cores of one node."""
    for tier, cost in costs.items():
        if cost.memory_bytes > machine.memory_bytes:
            raise InputError(
                f"A {recipe.methods.of(tier)} label needs about {gigabytes(cost.memory_bytes)}; a "
                f"node here offers {gigabytes(machine.memory_bytes)} to labels. Join a larger "
                "one with --ray-address, or choose another method in the recipe; "
                "`platform plan --no-calibrate` still quotes it."
            )
    threads = recipe.labels.threads or 1
    if threads > machine.cores:
        raise InputError(
            f"labels.threads = {threads}, but a node here has {machine.cores} cores. Lower it."
        )


def _threads(molecule: Molecule, recipe: Recipe, machine: Machine) -> int:
    """Threads that labels would have on `machine`."""
    memory = max(guess.memory_bytes for guess in general_estimates(molecule, recipe, 1).values())
    target = recipe.methods.of(Tier.CCSD)
    return choose_slots(machine, memory, recipe.labels.threads, target).slots.threads


def _known(tier: Tier, molecule: Molecule, recipe: Recipe, threads: int) -> tuple[Measured, ...]:
    """What this host has measured of a tier's method, as labels on `threads` would have it.

    Nothing of labels at a stated price. What other threads lose is by the method's own formula,
    which knew of no loss at the cheap tiers before records had versions.
    """
    if recipe.stand_in(tier):
        return ()
    labeler = recipe.labeler(tier)
    found = known_costs(recipe.methods.of(tier), labeler.version)
    known = [each for each in found if each.current or each.threads == 1 or tier not in CHEAP]
    numbers = {threads, *(each.threads for each in known)}
    formula = {n: labeler.estimate(molecule, n).core_seconds for n in numbers}
    return tuple(each.times(formula[threads] / formula[each.threads]) for each in known)


def _of_stand_in(guess: Estimate, source: str) -> TierCost:
    return TierCost(guess.core_seconds, guess.low, guess.high, guess.memory_bytes, 0, source)


def _estimated(name: str, guess: Estimate, known: Sequence[Measured], threads: int) -> TierCost:
    alike = [each for each in known if each.threads == threads and each.current]
    own = next((each for each in alike if each.molecule == name), None)
    if own is not None:
        others = [each for each in known if each is not own]
        source = f"measured here before ({counted(own.labels, 'label')})"
        return _cost(measured_cost(own, others), guess.memory_bytes, 0, source)
    scaled = scaled_cost(guess.core_seconds, known, threads)
    return _cost(scaled, guess.memory_bytes, 0, _scaled_from(known, threads))


def _scaled_from(known: Sequence[Measured], threads: int) -> str:
    if not known:
        return GENERAL
    labels = counted(sum(each.labels for each in known), "label")
    molecules = counted(len({each.molecule for each in known}), "molecule")
    source = f"scaled from {labels} of {molecules} measured here"
    if all(each.threads != threads for each in known):
        return f"{source} on other threads"
    return source if any(each.current for each in known) else f"{source} by another version"


def _measured(estimate: TierCost, own: Measured, others: Sequence[Measured]) -> TierCost:
    if estimate.source == STATED:  # of a batch with failures these pay what labels are short of
        return replace(estimate, measured=own.labels)
    source = f"measured here ({counted(own.labels, 'label')})"
    return _cost(measured_cost(own, others), estimate.memory_bytes, own.labels, source)


def _cost(scaled: Scaled, memory_bytes: int, measured: int, source: str) -> TierCost:
    return TierCost(scaled.core_seconds, scaled.low, scaled.high, memory_bytes, measured, source)


def _measurements(
    tier: Tier, tally: Sequence[TierTally], found: Sequence[float]
) -> Measured | None:
    """How many labels measure the cost of a tier, their mean and scatter; none where none do."""
    groups = [(1, each, 0.0) for each in found]
    for row in tally:
        if (row.tier, row.purpose) == (tier, Purpose.CALIBRATION) and row.bought:
            deviation = row.std_core_seconds if math.isfinite(row.std_core_seconds) else 0.0
            groups.append((row.bought, row.mean_core_seconds, deviation))
    labels = sum(number for number, _, _ in groups)
    if not labels:
        return None
    mean = sum(number * each for number, each, _ in groups) / labels
    squares = sum((n - 1) * s**2 + n * (each - mean) ** 2 for n, each, s in groups)
    scatter = math.nan if labels == 1 else math.sqrt(math.log1p(squares / (labels - 1) / mean**2))
    return Measured("", mean, mean, labels, scatter)
