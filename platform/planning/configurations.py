"""The pool of sampled configurations of a run, and which of them serves for what.

The pool comes in random order, is saved, and then only sliced: calibration | hold-out |
validation | training. So a resumed run buys the same geometries, and no hold-out or validation
geometry is ever labelled at another tier.
"""

import io
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgefield.labelers.sampling import SamplingSettings
from forgefield.platform.buying.book_places import BookPlace
from forgefield.platform.buying.dispatch import Order
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.buying.sharing_pools import shared_configurations
from forgefield.platform.planning.allocation import CHEAP, MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan, TierCost
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Configuration, Job, Method, Molecule, Purpose, Tier

TOP_UP = 1000
"""Most configurations offered to a tier beyond its planned ones, while money is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Shuffled geometries `positions_FA3` (Å) of one molecule with their sampling temperature."""

    molecule: Molecule
    positions_FA3: NDArray[np.float64]
    temperature_F: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positions_FA3)

    def jobs(self, method: Method, purpose: Purpose, start: int, count: int) -> deque[Job]:
        """Jobs for up to `count` configurations from `start` on."""
        return deque(
            Job(self._configuration(index), method, purpose)
            for index in range(start, min(start + count, len(self)))
        )

    def _configuration(self, index: int) -> Configuration:
        return Configuration(
            self.molecule.name,
            self.molecule.numbers,
            self.positions_FA3[index],
            self.molecule.charge,
            self.molecule.multiplicity,
        )


def sample_pool(
    molecule: Molecule,
    settings: SamplingSettings,
    progress: Callable[[int, int], None],
    book: BookPlace | None = None,
) -> tuple[Pool, str]:
    """Sampled frames in a seeded random order, and a note if they are too few.

    With a label book they begin with those that its runs share (`sharing_pools`).
    """
    part, note = shared_configurations(molecule, settings, progress, book)
    return Pool(molecule, part.positions_FA3, part.temperature_F), note


def save_pool(pool: Pool, path: Path) -> None:
    """Write the pool so that a crash leaves the whole file or none."""
    body = io.BytesIO()
    np.savez(body, positions_FA3=pool.positions_FA3, temperature_F=pool.temperature_F)
    replace_file(path, [body.getvalue()])


def refuse_to_sample_again(folder: RunFolder) -> None:
    """Raise `StorageError` where labels exist but their pool is gone.

    New samples would mix up what is held out and what is trained on.
    """
    if not folder.has_ledger:
        return
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        if any(row.done for row in ledger.tally()):
            raise StorageError(
                f"{folder.pool} is missing, but labels of its configurations were bought. Put it "
                "back, or start anew with another --workdir."
            )


def load_pool(molecule: Molecule, path: Path) -> Pool:
    """Read a pool; raises `InputError` if it belongs to another molecule."""
    with np.load(path, allow_pickle=False) as arrays:
        pool = Pool(molecule, arrays["positions_FA3"], arrays["temperature_F"])
    if pool.positions_FA3.shape[1] != len(molecule.numbers):
        raise InputError(
            f"{path} holds configurations of another molecule; choose a new --workdir."
        )
    return pool


def refuse_small_pool(pool: Pool, plan: Plan) -> None:
    """Raise `InputError` where sampling found too few distinct configurations for the plan."""
    kept = plan.labels(TARGET, Purpose.HOLDOUT) + plan.labels(TARGET, Purpose.VALIDATION)
    least = max(plan.labels(tier, Purpose.CALIBRATION) for tier in Tier) + kept
    least += plan.recipe.allocation.fewest_train
    if len(pool) < least:
        raise InputError(
            f"Sampling found {len(pool)} distinct configurations of {plan.molecule.name}; the plan "
            f"needs at least {least}. Lower the budget or sampling.threshold, or raise "
            "sampling.temperatures in the recipe."
        )


def calibration_orders(pool: Pool, recipe: Recipe, costs: Mapping[Tier, TierCost]) -> list[Order]:
    """The first configurations at every tier, dearest first, reserved at the worst estimate."""
    count = recipe.allocation.calibration
    return [
        Order(
            pool.jobs(_method(recipe, tier), Purpose.CALIBRATION, 0, count(tier)),
            count(tier),
            tier,
            costs[tier].high,
            Claim.FIRM,
        )
        for tier in reversed(Tier)
    ]


def campaign_orders(
    pool: Pool, plan: Plan, known: Callable[[Sequence[Job]], Collection[str]] = lambda _: ()
) -> list[Order]:
    """All labels of the plan in the order of wishes, then the optional top-up.

    The cheap tiers are over in seconds and come first; then the hold-out, validation and
    training labels of the target tier, so that what fills the last idle cores is short.
    Geometries of middle-tier labels follow those of the target tier as long as the pool lasts, but
    before them come those that the label book has: `known` gives the keys of such jobs.
    """
    refuse_small_pool(pool, plan)
    holdout, validation, targets = (
        plan.labels(TARGET, p) for p in (Purpose.HOLDOUT, Purpose.VALIDATION, Purpose.TRAIN)
    )
    middles = plan.labels(MIDDLE, Purpose.TRAIN)
    holdout_at = max(plan.labels(tier, Purpose.CALIBRATION) for tier in Tier)
    validation_at = holdout_at + holdout
    train_at = validation_at + validation
    middle_at = train_at + targets if train_at + targets + middles <= len(pool) else train_at

    def order(tier: Tier, purpose: Purpose, start: int, count: int, claim: Claim) -> Order:
        jobs = pool.jobs(_method(plan.recipe, tier), purpose, start, count)
        return Order(jobs, len(jobs), tier, plan.tier(tier).core_seconds, claim)

    middle_jobs = _known_first(pool, plan, (train_at, middle_at), known)

    def middle_order(jobs: Sequence[Job], claim: Claim) -> Order:
        return Order(deque(jobs), len(jobs), MIDDLE, plan.tier(MIDDLE).core_seconds, claim)

    firm, elastic, spare = Claim.FIRM, Claim.ELASTIC, Claim.SPARE
    train, more = Purpose.TRAIN, _room_for(plan)
    return [
        *(order(tier, train, train_at, plan.labels(tier, train), firm) for tier in CHEAP),
        order(TARGET, Purpose.HOLDOUT, holdout_at, holdout, firm),
        order(TARGET, Purpose.VALIDATION, validation_at, validation, firm),
        order(TARGET, train, train_at, targets, elastic),
        middle_order(middle_jobs[:middles], elastic),
        order(TARGET, train, train_at + targets, more, spare),
        middle_order(middle_jobs[middles : middles + more], spare),
    ]


def _known_first(
    pool: Pool,
    plan: Plan,
    starts: tuple[int, int],
    known: Callable[[Sequence[Job]], Collection[str]],
) -> list[Job]:
    """Middle-tier jobs on training geometries: those in the book, then the others in turn."""
    train_at, middle_at = starts
    jobs = list(pool.jobs(_method(plan.recipe, MIDDLE), Purpose.TRAIN, train_at, len(pool)))
    keys = known(jobs)
    free = [job for job in jobs if job.key() in keys]
    return free + [job for job in jobs[middle_at - train_at :] if job.key() not in keys]


def _room_for(plan: Plan) -> int:
    """Labels of the top-up: none where the plan stopped short of the budget by choice."""
    return min(TOP_UP, plan.recipe.allocation.most_target - plan.tier(TARGET).total)


def pool_size(plan: Plan) -> int:
    """Configurations that the plan uses, with some to spare."""
    most = max(quote.total for quote in plan.tiers)
    return int(1.2 * most) + plan.tier(TARGET).total


def _method(recipe: Recipe, tier: Tier) -> Method:
    return Method(tier, recipe.methods.of(tier))
