"""A campaign from molecule and budget to force field, wired on one page.

Each step leaves its result in the run folder and is skipped where it is already there, so a
run that was killed anywhere goes on from where it was.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from forgefield.platform.buying.calibrating import Calibration, measurable
from forgefield.platform.buying.labelling import Labelling, labelling
from forgefield.platform.buying.orders import calibration_orders, campaign_orders
from forgefield.platform.cluster import cluster_machine, ray_cluster
from forgefield.platform.evaluating import Evaluation
from forgefield.platform.planning.allocation import calibration_core_seconds
from forgefield.platform.planning.at_once import at_once_words
from forgefield.platform.planning.budget import worth_micro
from forgefield.platform.planning.cost_records import (
    cost_records,
    labels_seen,
    measured_before,
)
from forgefield.platform.planning.cost_store import remember_costs
from forgefield.platform.planning.machine import Machine, this_machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planned_labels import bought_target
from forgefield.platform.planning.quoting import (
    estimated_costs,
    measured_costs,
    other_molecules,
    refuse_what_does_not_fit,
)
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder, known_plan
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.planning.training_time import pace_record
from forgefield.platform.pools.making import grown_pool, pool_for, refuse_short_replay
from forgefield.platform.pools.pool import Pool
from forgefield.platform.results import Result, result_of, spent_words
from forgefield.platform.rounds.policy import goes_in_rounds
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.training import evaluate_and_keep, train_run
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Molecule, Purpose, Tier
from forgefield.storage.run_lock import RunLock


def quote(request: Request) -> Plan:
    """A plan from estimated costs alone; nothing is computed or spent.

    Raises `InputError` where the folder is another run's already.
    """
    known_plan(request)
    plan = request.plan(estimated_costs(request.molecule, request.recipe), this_machine())
    refuse_short_replay(request.molecule, plan)
    return plan


@dataclass(slots=True)
class Campaign:
    """One run folder being driven: the lock is held and Ray is up."""

    folder: RunFolder
    machine: Machine
    reporter: Reporter

    def calibrate(self, request: Request) -> Plan:
        """Buy the calibration labels, set the cap, grow the pool to the plan, write it."""
        estimates = estimated_costs(request.molecule, request.recipe, self.machine)
        refuse_what_does_not_fit(estimates, request.recipe, self.machine)
        provisional = request.plan(estimates, self.machine)
        pool = pool_for(self.folder, request.molecule, provisional, self.reporter)
        self.reporter.say("Calibrating: a few labels at every tier, paid from the budget …")
        if request.given is not None:
            self.reporter.say("Labels are counted anew at the costs found, not as the plan has it.")
        orders = calibration_orders(pool, request.recipe, estimates)
        expected = {tier: cost.high for tier, cost in estimates.items()}
        with self._labelling(request.molecule, request.recipe, estimates, expected) as phase:
            phase.ledger.set_cap(_provisional_cap(request, estimates), "from high estimates")
            calibration = measurable(orders, pool, phase.ledger, phase.threads)
            with self.folder.timed("calibration"):
                phase.buy(calibration.orders)
            seen = phase.ledger.tally(), calibration.measured
            others = other_molecules(request.molecule, request.recipe, phase.threads)
            costs = measured_costs(estimates, *seen, others)
            note = self._remember(request, calibration, phase.threads)
            plan = self._affordable(request, costs)
            phase.ledger.set_cap(plan.cap_micro, f"{plan.budget} at calibrated costs")
        if note:
            self.reporter.say(note)
        grown_pool(self.folder, plan, self.reporter)
        write_atomically(self.folder.plan, plan.model_dump_json(indent=1))
        return plan

    def resume(self, plan: Plan) -> Plan:
        """Write down the settings that the folder's plan goes on with; reports tell of them."""
        if load_plan(self.folder.plan) != plan:
            write_atomically(self.folder.plan, plan.model_dump_json(indent=1))
        return plan

    def _remember(self, request: Request, calibration: Calibration, threads: int) -> str:
        """Keep what labels cost for later plans; why that wasn't possible, else nothing."""
        seen = labels_seen(load_frames(self.folder.frames, (Purpose.CALIBRATION,)))
        seen += measured_before(calibration.measured, platform.node(), threads)
        return remember_costs(cost_records(request.molecule, request.recipe, seen))

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

    def label(self, plan: Plan) -> str:
        """Buy what the plan lists and isn't there yet, in rounds where that pays; why it ended."""
        molecule = plan.molecule.to_record()
        costs = {quote.tier: quote.to_cost() for quote in plan.tiers}
        refuse_what_does_not_fit(costs, plan.recipe, self.machine)
        pool = pool_for(self.folder, molecule, plan, self.reporter)
        in_rounds = goes_in_rounds(plan, plan.recipe.rounds)
        with self._labelling(molecule, plan.recipe, costs) as phase, self.folder.timed("labelling"):
            why = self._rounds(plan, pool, phase) if in_rounds else self._at_once(plan, pool, phase)
        for tier in Tier:
            self.reporter.end(f"{tier.value} labels")
        return why

    def _at_once(self, plan: Plan, pool: Pool, phase: Labelling) -> str:
        if words := at_once_words(plan.recipe, bought_target(plan), plan.asked_target):
            self.reporter.say(words)
        phase.buy(campaign_orders(pool, plan, phase.known_keys))
        return spent_words(plan, phase.ledger.balance(), phase.ledger.tally())

    def _rounds(self, plan: Plan, pool: Pool, phase: Labelling) -> str:
        from forgefield.platform.rounds.driving import run_rounds
        from forgefield.platform.rounds.supply import Supply

        supply = Supply.of(pool, plan, phase.known_keys)
        record = run_rounds(self.folder, plan, supply, phase, self.reporter)
        if not record.spend_rest:
            return record.why
        return spent_words(plan, phase.ledger.balance(), phase.ledger.tally())

    def train(self, plan: Plan) -> Evaluation:
        """The three stages and the baseline, then their errors on the hold-out."""
        with self.folder.timed("training"):
            outcome = train_run(self.folder, plan, self.machine.cores, self.reporter)
        pace = pace_record(plan.molecule.to_record(), plan.training, outcome)
        if pace is not None and (note := remember_costs([pace])):
            self.reporter.say(note)
        with self.folder.timed("evaluation"):
            return evaluate_and_keep(self.folder)

    def conclude(self, plan: Plan, why: str, evaluation: Evaluation) -> Result:
        """Write the report and say what came out."""
        from forgefield.platform.reporting.report import write_report

        with self.folder.timed("report"):
            write_report(self.folder, self.folder.report)
        return result_of(self.folder, plan, why, evaluation)

    @contextmanager
    def _labelling(
        self,
        molecule: Molecule,
        recipe: Recipe,
        costs: Mapping[Tier, TierCost],
        expected: Mapping[Tier, float] | None = None,
    ) -> Iterator[Labelling]:
        memory = max(cost.memory_bytes for cost in costs.values())
        threads, target = recipe.labels.threads, recipe.methods.of(Tier.CCSD)
        choice = choose_slots(self.machine, memory, threads, target)
        self.reporter.say(choice.why)
        with labelling(
            self.folder, molecule, recipe, costs, choice.slots, self.reporter, expected
        ) as phase:
            with self.folder.timed("loading workers"):
                phase.dispatcher.warm()
            yield phase


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
    refuse_before_spending(request, ray_address)
    with driving(request, ray_address, reporter) as campaign:
        return campaign.calibrate(request)


def run_campaign(request: Request, ray_address: str | None, reporter: Reporter) -> Result:
    """Everything from request to report, going on from whatever the folder holds."""
    known = known_plan(request)
    if known is None:
        refuse_before_spending(request, ray_address)
    with driving(request, ray_address, reporter) as campaign:
        plan = campaign.calibrate(request) if known is None else campaign.resume(known)
        why = campaign.label(plan)
        return campaign.conclude(plan, why, campaign.train(plan))


def refuse_before_spending(request: Request, ray_address: str | None) -> None:
    """Raise `InputError` where the estimated costs show already that nothing will come of it."""
    costs, here = estimated_costs(request.molecule, request.recipe), this_machine()
    if ray_address is None:
        refuse_what_does_not_fit(costs, request.recipe, here)
    refuse_short_replay(request.molecule, request.plan(costs, here))


def _provisional_cap(request: Request, estimates: Mapping[Tier, TierCost]) -> int:
    """What calibration may spend: a budget in labels is worth most where they are dearest."""
    dearest = {tier: cost.high for tier, cost in estimates.items()}
    return worth_micro(request.budget, dearest, request.recipe.prices)
