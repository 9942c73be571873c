"""A campaign from molecule and budget to force field, wired on one page.

Each step leaves its result in the run folder and is skipped where it is already there, so a
run that was killed anywhere goes on from where it was.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from forgefield.platform.buying.book_places import book_place
from forgefield.platform.buying.labelling import Labelling, labelling
from forgefield.platform.cluster import cluster_machine, ray_cluster
from forgefield.platform.evaluating import Evaluation
from forgefield.platform.planning.allocation import calibration_core_seconds
from forgefield.platform.planning.budget import worth_micro
from forgefield.platform.planning.calibrating import measurable
from forgefield.platform.planning.configurations import (
    Pool,
    calibration_orders,
    campaign_orders,
    load_pool,
    pool_size,
    refuse_to_sample_again,
    sample_pool,
    save_pool,
)
from forgefield.platform.planning.machine import Machine, this_machine
from forgefield.platform.planning.plan import Document, Plan, TierCost
from forgefield.platform.planning.quoting import (
    estimated_costs,
    measured_costs,
    refuse_what_does_not_fit,
)
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder, known_plan
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.status import TierStatus, status_of
from forgefield.platform.training import evaluate_and_keep, train_run
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Molecule, Tier
from forgefield.storage.run_lock import RunLock


class Result(Document):
    """A finished run; money in units of the budget."""

    folder: str
    force_field: str
    report: str
    budget: str
    spent: float
    left: float
    labels: tuple[str, ...]
    evaluation: Evaluation


def _bought(row: TierStatus) -> str:
    """`ccsd 12`, or `dft 13 of 30 planned: …` where the plan was not reached."""
    if row.done >= row.planned:
        return f"{row.tier} {row.done:,}"
    why = f"{row.failed} failed" if row.failed else "labels cost more than the calibration said"
    return f"{row.tier} {row.done:,} of {row.planned:,} planned ({why})"


def quote(request: Request) -> Plan:
    """A plan from estimated costs alone; nothing is computed or spent."""
    return request.plan(estimated_costs(request.molecule, request.recipe), this_machine())


@dataclass(slots=True)
class Campaign:
    """One run folder being driven: the lock is held and Ray is up."""

    folder: RunFolder
    machine: Machine
    reporter: Reporter

    def calibrate(self, request: Request) -> Plan:
        """Buy the calibration labels, set the cap, write the plan."""
        estimates = estimated_costs(request.molecule, request.recipe)
        refuse_what_does_not_fit(estimates, request.recipe, self.machine)
        provisional = request.plan(estimates, self.machine)
        pool = self._pool(request.molecule, provisional)
        self.reporter.say("Calibrating: a few labels at every tier, paid from the budget …")
        orders = calibration_orders(pool, request.recipe, estimates)
        with self._labelling(request.molecule, request.recipe, estimates) as phase:
            phase.ledger.set_cap(_provisional_cap(request, estimates), "from high estimates")
            calibration = measurable(orders, pool, phase.ledger, phase.threads)
            with self._timed("calibration"):
                phase.buy(calibration.orders)
            costs = measured_costs(estimates, phase.ledger.tally(), calibration.measured)
            plan = self._affordable(request, costs)
            phase.ledger.set_cap(plan.cap_micro, f"{plan.budget} at calibrated costs")
        write_atomically(self.folder.plan, plan.model_dump_json(indent=1))
        return plan

    def _affordable(self, request: Request, costs: Mapping[Tier, TierCost]) -> Plan:
        """The plan at measured costs; raises `BudgetTooSmall` saying what calibration cost."""
        try:
            return request.plan(costs, self.machine)
        except BudgetTooSmall as error:
            settings = request.recipe.allocation
            spent = calibration_core_seconds(
                {t: c.core_seconds for t, c in costs.items()}, settings
            )
            raise BudgetTooSmall(
                f"{error} The calibration that showed it cost {spent / 3600:.2g} core-hours; its "
                f"labels are kept: give the larger budget with --workdir {self.folder.root}."
            ) from error

    def label(self, plan: Plan) -> None:
        """Buy all that the plan lists and that isn't bought yet."""
        molecule = plan.molecule.to_record()
        costs = {quote.tier: quote.to_cost() for quote in plan.tiers}
        refuse_what_does_not_fit(costs, plan.recipe, self.machine)
        pool = self._pool(molecule, plan)
        with self._labelling(molecule, plan.recipe, costs) as phase, self._timed("labelling"):
            phase.buy(campaign_orders(pool, plan, phase.known_keys))
        for tier in Tier:
            self.reporter.end(f"{tier.value} labels")

    def train(self, plan: Plan) -> Evaluation:
        """The three stages and the baseline, then their errors on the hold-out."""
        with self._timed("training"):
            train_run(self.folder, plan, self.machine.cores, self.reporter)
        with self._timed("evaluation"):
            return evaluate_and_keep(self.folder)

    def conclude(self, plan: Plan, evaluation: Evaluation) -> Result:
        """Write the report and say what came out."""
        from forgefield.platform.reporting.report import write_report

        with self._timed("report"):
            write_report(self.folder, self.folder.report)
        status = status_of(self.folder)
        return Result(
            folder=str(self.folder.root),
            force_field=str(self.folder.force_field),
            report=str(self.folder.report),
            budget=plan.budget,
            spent=plan.in_budget_units(status.spent),
            left=plan.in_budget_units(status.left),
            labels=tuple(_bought(row) for row in status.tiers),
            evaluation=evaluation,
        )

    def _pool(self, molecule: Molecule, plan: Plan) -> Pool:
        if not self.folder.pool.exists():
            refuse_to_sample_again(self.folder)
            settings = plan.recipe.sampling.model_copy(
                update={"frames": max(plan.recipe.sampling.frames, pool_size(plan))}
            )
            self.reporter.say(f"Sampling {settings.frames} configurations with OpenMM …")
            with self._timed("sampling"):
                book = book_place(self.folder, plan.recipe.labels)
                pool, note = sample_pool(molecule, settings, self._sampled, book)
            save_pool(pool, self.folder.pool)
            if note:
                self.reporter.say(note)
        return load_pool(molecule, self.folder.pool)

    def _sampled(self, done: int, total: int) -> None:
        self.reporter.bar("sampling", done, total)

    @contextmanager
    def _labelling(
        self, molecule: Molecule, recipe: Recipe, costs: Mapping[Tier, TierCost]
    ) -> Iterator[Labelling]:
        memory = max(cost.memory_bytes for cost in costs.values())
        threads, target = recipe.labels.threads, recipe.methods.of(Tier.CCSD)
        choice = choose_slots(self.machine, memory, threads, target)
        self.reporter.say(choice.why)
        with labelling(self.folder, molecule, recipe, costs, choice.slots, self.reporter) as phase:
            with self._timed("loading workers"):
                phase.dispatcher.warm()
            yield phase

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.time()
        self.folder.note(f"{step} began")
        yield
        self.folder.note(f"{step} ended", wall_s=round(time.time() - start, 2))


@contextmanager
def driving(request: Request, ray_address: str | None, reporter: Reporter) -> Iterator[Campaign]:
    """Hold the run's lock and Ray; raises `RunBusy` if another driver has the folder."""
    folder = request.folder
    folder.create()
    with RunLock(folder.root):
        claim_folder(request)
        with ray_cluster(ray_address, this_machine()) as cluster:
            reporter.say(f"Ray dashboard {cluster.dashboard_url}, metrics {cluster.metrics_url}")
            folder.note("ray is up", dashboard=cluster.dashboard_url, metrics=cluster.metrics_url)
            yield Campaign(folder, cluster_machine(), reporter)


def calibrated_plan(request: Request, ray_address: str | None, reporter: Reporter) -> Plan:
    """The plan of a request with measured costs; one that the folder already holds is kept."""
    known = known_plan(request)
    if known is not None:
        return known
    with driving(request, ray_address, reporter) as campaign:
        return campaign.calibrate(request)


def run_campaign(request: Request, ray_address: str | None, reporter: Reporter) -> Result:
    """Everything from request to report, going on from whatever the folder holds."""
    known = known_plan(request)
    with driving(request, ray_address, reporter) as campaign:
        plan = known or campaign.calibrate(request)
        campaign.label(plan)
        return campaign.conclude(plan, campaign.train(plan))


def _provisional_cap(request: Request, estimates: Mapping[Tier, TierCost]) -> int:
    """What calibration may spend: a budget in labels is worth most where they are dearest."""
    dearest = {tier: cost.high for tier, cost in estimates.items()}
    return worth_micro(request.budget, dearest, request.recipe.prices)
