"""The state of a run, read from its ledger and timeline without disturbing who drives it."""

import time
from collections.abc import Sequence

from forgefield.platform.buying.saved_labels import saved_labels
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.request import claim_in
from forgefield.platform.rounds.documents import Band, Course, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.wording import three_digits
from forgefield.platform.training_status import Events, StageStatus, rest_of, stages_of, training_s
from forgefield.storage.documents import Document
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import Entry, EntryKind, FailureRow, State, TierTally
from forgefield.storage.records import Tier
from forgefield.storage.run_lock import RunLock
from forgefield.storage.units import from_micro

RATE_WINDOW_S = 600.0
FAILURES_SHOWN = 5
LABELLING_BEGAN = ("calibration began", "labelling began")


class TierStatus(Document):
    """Labels of one tier, imported ones too; core-seconds spent include `wasted`, by failures."""

    tier: Tier
    method: str
    planned: int
    done: int
    failed: int
    in_flight: int
    spent: float
    wasted: float


class RoundStatus(Document):
    """The last round that ended, and how many have: errors in kcal/mol/Å on validation frames.

    `expected` is the band that the rounds before had forecast, null for the first; `ahead` that for
    the labels that come next, null where the campaign stopped.
    """

    ended: int
    target_labels: int
    error: float
    expected: Band | None
    ahead: Band | None
    decision: Course
    why: str


class Status(Document):
    """A run at one instant; money in core-seconds, rate in core-seconds a second of wall time.

    `found` labels came from the label book and have cost `saved` where they were bought. `round`
    is null where the run doesn't go in rounds, or none has ended. Without a plan `budget` is
    what calibration may take. `training_s` is how long the last training has gone on by now,
    `training_quoted_s` how long it was to take; `seconds_to_go` are those of labelling or of it.
    """

    folder: str
    molecule: str
    budget: str
    unit_core_seconds: float
    step: str
    running: bool
    cap: float
    spent: float
    reserved: float
    left: float
    tiers: tuple[TierStatus, ...]
    rate: float | None
    seconds_to_go: float | None
    failures: tuple[str, ...]
    found: int = 0
    saved: float = 0.0
    round: RoundStatus | None = None
    training: tuple[StageStatus, ...] = ()
    training_s: float | None = None
    training_quoted_s: float | None = None


def status_of(folder: RunFolder) -> Status:
    """Read the state of a run; it may be running, finished or dead."""
    plan = load_plan(folder.plan) if folder.plan.exists() else None
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        balance, tally = ledger.balance(), ledger.tally()
        entries, failures = ledger.entries(), _not_made_good(ledger)
        shared = saved_labels(ledger)
    tiers = tuple(_tier_status(tier, tally, plan) for tier in Tier)
    running = RunLock(folder.root).is_held()
    events = folder.events()
    buying = any(row.in_flight for row in tiers)
    rate = _rate(entries, _labelling_since(events)) if running and buying else None
    unspent = from_micro(balance.cap_micro - balance.spent_micro)
    trained_s = training_s(events) if running else None
    quoted_s = plan.training_time.wall_s if plan and plan.training_time else None
    to_go_s = rest_of(quoted_s, trained_s)
    if rate and plan:
        to_go_s = _core_seconds_to_buy(tiers, plan, unspent) / rate
    return Status(
        folder=str(folder.root),
        molecule=plan.molecule.name if plan else _claimed(folder),
        budget=plan.budget if plan else f"{three_digits(from_micro(balance.cap_micro) / 3600)}cpuh",
        unit_core_seconds=plan.unit_core_seconds if plan else 3600.0,
        step=_step(events),
        running=running,
        cap=from_micro(balance.cap_micro),
        spent=from_micro(balance.spent_micro),
        reserved=from_micro(balance.reserved_micro),
        left=from_micro(balance.left_micro),
        tiers=tiers,
        rate=rate,
        seconds_to_go=to_go_s,
        failures=tuple(
            f"{row.method.tier}: {row.failure.kind}: {row.failure.message}"
            for row in failures[-FAILURES_SHOWN:]
        ),
        found=shared.labels,
        saved=shared.core_seconds,
        round=_round(folder),
        training=tuple(stages_of(folder)) if running else (),
        training_s=trained_s,
        training_quoted_s=None if trained_s is None else quoted_s,
    )


def _not_made_good(ledger: Ledger) -> list[FailureRow]:
    """Failed attempts at labels that aren't there by now."""
    failures = ledger.failures()
    states = ledger.job_states({row.job_key for row in failures})
    return [row for row in failures if states[row.job_key].state is not State.DONE]


def _claimed(folder: RunFolder) -> str:
    """The molecule of a run that has no plan yet."""
    claim = claim_in(folder)
    return "not known yet" if claim is None else claim.molecule.name


def _round(folder: RunFolder) -> RoundStatus | None:
    records = ended_rounds(folder)
    if not records:
        return None
    last = records[-1]
    return RoundStatus(
        ended=len(records),
        target_labels=last.counts.target,
        error=last.error,
        expected=last.expected,
        ahead=last.ahead,
        decision=last.decision,
        why=last.why,
    )


def _tier_status(tier: Tier, tally: Sequence[TierTally], plan: Plan | None) -> TierStatus:
    rows = [row for row in tally if row.tier == tier]
    return TierStatus(
        tier=tier,
        method=plan.tier(tier).method if plan else "",
        planned=plan.tier(tier).total + plan.tier(tier).imported if plan else 0,
        done=sum(row.done for row in rows),
        failed=sum(row.failed for row in rows),
        in_flight=sum(row.in_flight for row in rows),
        spent=from_micro(sum(row.spent_micro for row in rows)),
        wasted=from_micro(sum(row.spent_on_failures_micro for row in rows)),
    )


def _labelling_since(events: Events) -> float:
    """When the present labelling began: before it there may have been none for a while."""
    began = [e["time"] for e in events if e["event"] in LABELLING_BEGAN]
    return float(began[-1]) if began else 0.0


def _rate(entries: Sequence[Entry], began: float) -> float | None:
    """Core-seconds bought a second over the last minutes; None where too little is known."""
    since = max(time.time() - RATE_WINDOW_S, began)
    spent = [e for e in entries if e.kind in (EntryKind.LABEL, EntryKind.FAILED) and e.at > since]
    reserved = [e.at for e in entries if e.kind == EntryKind.RESERVE and e.at > since]
    if not spent or not reserved:
        return None
    elapsed = time.time() - min(reserved)
    return from_micro(sum(entry.amount_micro for entry in spent)) / elapsed if elapsed else None


def _core_seconds_to_buy(tiers: Sequence[TierStatus], plan: Plan, unspent: float) -> float:
    """Of the planned labels that are missing, as far as the money goes."""
    missing = {row.tier: max(row.planned - row.done - row.failed, 0) for row in tiers}
    planned = sum(count * plan.tier(tier).core_seconds for tier, count in missing.items())
    return min(planned, unspent)


def _step(events: Events) -> str:
    last = str(events[-1]["event"]) if events else "nothing has begun"
    return "finished" if last == "report ended" else last
