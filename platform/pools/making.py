"""The pool of configurations of a run: sampled, or read from the files of a replay, once."""

from collections.abc import Callable

from forgefield.platform.book_places import book_place
from forgefield.platform.planning.plan import Plan
from forgefield.platform.pools.fresh import More, longer, unlabelled
from forgefield.platform.pools.pool import Pool, load_pool, save_pool
from forgefield.platform.pools.sampled import (
    larger_pool,
    refuse_to_sample_again,
    sample_pool,
)
from forgefield.platform.pools.sizes import pool_size, refuse_short_pool, refuse_small_pool
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.records import Molecule


def pool_for(folder: RunFolder, molecule: Molecule, plan: Plan, reporter: Reporter) -> Pool:
    """The run's pool, made where there is none, with enough configurations for a plan.

    Raises `StorageError` where labels of a pool that is gone were bought.
    """
    if not folder.pool.exists():
        refuse_to_sample_again(folder)
        make = _replayed if plan.recipe.replay.tiers else _sampled
        pool, note = make(folder, molecule, plan, reporter)
        save_pool(pool, folder.pool)
        if note:
            reporter.say(note)
    return load_pool(molecule, folder.pool)


def grown_pool(folder: RunFolder, plan: Plan, reporter: Reporter) -> Pool:
    """The run's pool, as large as a plan at measured costs needs; what is there stays in its place.

    Before any label of the plan is bought, for later its middle tier would begin elsewhere. Raises
    `InputError` where sampling doesn't find that many.
    """
    pool = load_pool(plan.molecule.to_record(), folder.pool)
    size = pool_size(plan)
    if len(pool) < size and not plan.recipe.replay.tiers:
        reporter.say(f"Sampling {size - len(pool)} more configurations for the plan …")
        with folder.timed("sampling"):
            pool, note = longer(pool, size, folder, _more(folder, plan, reporter))
        save_pool(pool, folder.pool)
        if note:
            reporter.say(note)
    refuse_short_pool(pool, plan)
    return pool


def refuse_short_replay(molecule: Molecule, plan: Plan) -> None:
    """Raise `InputError` where the files to replay can't give what the plan wants; reads them."""
    if plan.recipe.replay.tiers:
        from forgefield.platform.pools.replayed import replayed_pool

        refuse_small_pool(replayed_pool(molecule, plan.recipe), plan)


def _sampled(
    folder: RunFolder, molecule: Molecule, plan: Plan, reporter: Reporter
) -> tuple[Pool, str]:
    size = max(plan.recipe.sampling.frames, pool_size(plan))
    settings = plan.recipe.sampling.model_copy(update={"frames": size})
    reporter.say(f"Sampling {size} configurations with OpenMM …")
    with folder.timed("sampling"):
        book = book_place(folder, plan.recipe.labels)
        sampled, note = sample_pool(molecule, settings, _bar(reporter), book)
        pool = unlabelled(sampled, folder)
        if len(pool) == len(sampled):
            return pool, note
        return longer(pool, size, folder, _more(folder, plan, reporter))


def _more(folder: RunFolder, plan: Plan, reporter: Reporter) -> More:
    """Further configurations behind those of a pool, by the plan's sampling."""
    book = book_place(folder, plan.recipe.labels)

    def more(pool: Pool, size: int) -> tuple[Pool, str]:
        settings = plan.recipe.sampling.model_copy(update={"frames": size})
        return larger_pool(pool, settings, _bar(reporter), book)

    return more


def _bar(reporter: Reporter) -> Callable[[int, int], None]:
    return lambda done, total: reporter.bar("sampling", done, total)


def _replayed(
    folder: RunFolder, molecule: Molecule, plan: Plan, reporter: Reporter
) -> tuple[Pool, str]:
    from forgefield.platform.pools.replayed import replayed_pool

    tiers = " and ".join(plan.recipe.replay.tiers)
    reporter.say(f"Reading the files that {tiers} labels are replayed from …")
    with folder.timed("reading files"):
        return replayed_pool(molecule, plan.recipe), ""
