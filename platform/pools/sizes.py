"""How many configurations a plan needs of its pool, and whether the pool has them."""

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.pools.pool import Pool
from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose, Tier


def pool_size(plan: Plan) -> int:
    """Configurations that the plan uses, with some to spare."""
    most = max(quote.total for quote in plan.tiers)
    return int(1.2 * most) + plan.tier(TARGET).total


def refuse_small_pool(pool: Pool, plan: Plan) -> None:
    """Raise `InputError` where sampling found too few distinct configurations for the plan."""
    kept = plan.labels(TARGET, Purpose.HOLDOUT) + plan.labels(TARGET, Purpose.VALIDATION)
    least = max(plan.labels(tier, Purpose.CALIBRATION) for tier in Tier) + kept
    least += plan.recipe.allocation.fewest_train
    if plan.recipe.replay.tiers:
        refuse_short_pool(pool, plan)
    if len(pool) < least and plan.recipe.replay.tiers:
        raise InputError(
            f"The file to replay offers {len(pool)} configurations of {plan.molecule.name}; the "
            f"plan needs at least {least}. Lower replay.test_frames, or give a longer file."
        )
    if len(pool) < least:
        raise InputError(
            f"Sampling found {len(pool)} distinct configurations of {plan.molecule.name}; the plan "
            f"needs at least {least}. Lower the budget or sampling.threshold, or raise "
            "sampling.temperatures in the recipe."
        )


def refuse_short_pool(pool: Pool, plan: Plan) -> None:
    """Raise `InputError` where the pool ends before the plan: its quote would be wrong."""
    where, remedy = "sampling found", "sampling.threshold, or raise sampling.temperatures."
    if plan.recipe.replay.tiers:
        where, remedy = "the files to replay offer", "replay.test_frames, or give a longer file."
    for tier in Tier:
        wanted, there = plan.labels(tier, Purpose.TRAIN), offered(pool, plan, tier)
        if wanted > there:
            raise InputError(
                f"The plan wants {wanted:,} {tier} labels to train on; {where} {there:,} "
                "geometries for them. Lower the budget, a cap under [allocation] (most_target, "
                f"middle_per_target, cheap_labels) or {remedy}"
            )


def offered(pool: Pool, plan: Plan, tier: Tier) -> int:
    """Geometries that a tier may be trained on: all that nothing calibrates or judges by."""
    judged = plan.labels(TARGET, Purpose.HOLDOUT) + plan.labels(TARGET, Purpose.VALIDATION)
    first = max(plan.labels(each, Purpose.CALIBRATION) for each in Tier) + judged
    return max(0, len(pool.of(tier)) - first)
