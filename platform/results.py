"""What a finished run tells: labels, money, why no more was bought, and the errors."""

from collections.abc import Sequence

from forgefield.platform.buying.purchasing import TIGHTEST_LIMIT
from forgefield.platform.buying.score import Score
from forgefield.platform.evaluating import Evaluation
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.pools.pool import load_pool
from forgefield.platform.pools.sizes import offered
from forgefield.platform.rounds.policy import goes_in_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.wording import amount
from forgefield.platform.status import TierStatus, status_of
from forgefield.storage.documents import Document
from forgefield.storage.ledger.entries import Balance, TierTally
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro


class Result(Document):
    """A finished run; money in units of the budget, and why no more of it was spent."""

    folder: str
    force_field: str
    report: str
    budget: str
    spent: float
    left: float
    labels: tuple[str, ...]
    why: str = ""
    evaluation: Evaluation


def result_of(folder: RunFolder, plan: Plan, why: str, evaluation: Evaluation) -> Result:
    """The result of a run whose report is written."""
    status = status_of(folder)
    why_fewer = _why_fewer(folder, plan)
    return Result(
        folder=str(folder.root),
        force_field=str(folder.force_field),
        report=str(folder.report),
        budget=plan.budget,
        spent=plan.in_budget_units(status.spent),
        left=plan.in_budget_units(status.left),
        labels=tuple(_bought(row, why_fewer[row.tier]) for row in status.tiers),
        why=why,
        evaluation=evaluation,
    )


def _why_fewer(folder: RunFolder, plan: Plan) -> dict[Tier, str]:
    """What keeps a tier below its planned labels, where none have failed."""
    pool = load_pool(plan.molecule.to_record(), folder.pool)
    in_rounds = goes_in_rounds(plan, plan.recipe.rounds)
    usual = "as the rounds decided" if in_rounds else "labels cost more than the calibration said"
    return {
        tier: usual
        if plan.labels(tier, Purpose.TRAIN) <= offered(pool, plan, tier)
        else "the pool has no more configurations"
        for tier in Tier
    }


def _bought(row: TierStatus, why_fewer: str) -> str:
    """`ccsd 12`, `ccsd 15, 12 planned`, or `dft 13 of 30 planned (…)`."""
    if row.done >= row.planned:
        more = f", {row.planned:,} planned" if row.done > row.planned > 0 else ""
        return f"{row.tier} {row.done:,}{more}"
    why = f"{row.failed} failed" if row.failed else why_fewer
    return f"{row.tier} {row.done:,} of {row.planned:,} planned ({why})"


def spent_words(plan: Plan, balance: Balance, tally: Sequence[TierTally]) -> str:
    """Why nothing more is bought where nothing was stopped: money, the recipe, or the pool."""
    left = from_micro(balance.left_micro)
    rows = [row for row in tally if row.tier == TARGET]
    if left < TIGHTEST_LIMIT * Score.of(tally).cost(TARGET, plan.tier(TARGET).core_seconds):
        return "the budget is spent to the last label that fits"
    return f"{_limit(plan, rows)}; {amount(plan.in_budget_units(left), plan.budget)} returned"


def _limit(plan: Plan, rows: Sequence[TierTally]) -> str:
    done, failed = sum(row.done for row in rows), sum(row.failed for row in rows)
    most = plan.recipe.allocation.most_target
    if done >= most:
        return f"all labels that the recipe allows are bought (at most {most:,} of {TARGET})"
    but = f", {failed:,} of which failed" if failed else ""
    return f"no configuration that the plan may label at {TARGET} is left{but}"
