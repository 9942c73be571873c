"""A run's books as facts: balance, labels and money by tier and purpose, the last entries.

The ledger counts micro core-seconds. Here an amount is also told in core-hours, in target-tier
labels at the calibrated cost of one, and in dollars at the recipe's price of a core-hour.
"""

import math

from forgefield.platform.planning.budget import Prices
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.documents import Document
from forgefield.storage.ledger import Ledger, addresses
from forgefield.storage.ledger.entries import Entry, EntryKind, Overview, TierTally, Withdrawal
from forgefield.storage.records import Tier
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR, from_micro

TARGET = Tier.CCSD


class Money(Document):
    """One amount in every currency; `ccsd` is None where no calibration is known."""

    core_seconds: float
    core_hours: float
    ccsd: float | None
    dollars: float


class Rates(Document):
    """What amounts are converted by: the calibrated target-tier label, and prices.

    `ccsd_core_seconds` is the mean of `ccsd_measured` calibration labels by `ccsd_method`; an
    estimate where none was measured, None where nothing is planned yet.
    """

    ccsd_core_seconds: float | None
    ccsd_method: str
    ccsd_measured: int
    dollars_a_core_hour: float

    def of(self, micro: int) -> Money:
        """Micro core-seconds in every currency."""
        core_seconds = from_micro(micro)
        hours = core_seconds / CORE_SECONDS_PER_CORE_HOUR
        unit = self.ccsd_core_seconds
        return Money(
            core_seconds=core_seconds,
            core_hours=hours,
            ccsd=core_seconds / unit if unit else None,
            dollars=hours * self.dollars_a_core_hour,
        )


class TierAccount(Document):
    """Labels and money of a tier and purpose; `spent` includes `wasted`, on failed attempts.

    `core_seconds_a_label` is the mean over labels that were bought, None before the first.
    """

    tier: Tier
    purpose: str
    done: int
    in_flight: int
    failed: int
    failed_attempts: int
    adopted: int
    withdrawn: int
    spent: Money
    wasted: Money
    core_seconds_a_label: float | None


class EntryLine(Document):
    """One line of the money log; `at` is Unix time."""

    id: int
    at: float
    kind: EntryKind
    reservation: int | None
    core_seconds: float
    note: str


class WithdrawalLine(Document):
    """A label that was taken back; `at` is Unix time."""

    seq: int
    frame_seq: int
    job_key: str
    reason: str
    at: float


class Account(Document):
    """The books at one instant. `broken` is None where nobody asked for the audit."""

    folder: str
    ledger: str
    rates: Rates
    cap: Money
    spent: Money
    reserved: Money
    left: Money
    tiers: tuple[TierAccount, ...]
    entries: tuple[EntryLine, ...]
    entries_in_all: int
    withdrawals: tuple[WithdrawalLine, ...]
    broken: tuple[str, ...] | None = None


def account_of(folder: RunFolder, last: int | None, *, verify: bool) -> Account:
    """Read a run's books, the `last` entries or all; the run may be going on."""
    plan = load_plan(folder.plan) if folder.plan.exists() else None
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        overview, withdrawals = ledger.overview(last), ledger.withdrawals()
        broken = tuple(ledger.verify(folder.frames)) if verify else None
    return _account(folder, rates_of(plan), overview, withdrawals, broken)


def rates_of(plan: Plan | None) -> Rates:
    """The rates that a plan fixed; prices by default where there is none yet."""
    if plan is None:
        price = Prices().core_hour
        return Rates(
            ccsd_core_seconds=None, ccsd_method="", ccsd_measured=0, dollars_a_core_hour=price
        )
    target = plan.tier(TARGET)
    return Rates(
        ccsd_core_seconds=target.core_seconds,
        ccsd_method=target.method,
        ccsd_measured=target.measured,
        dollars_a_core_hour=plan.recipe.prices.core_hour,
    )


def _account(
    folder: RunFolder,
    rates: Rates,
    overview: Overview,
    withdrawals: tuple[Withdrawal, ...],
    broken: tuple[str, ...] | None,
) -> Account:
    balance = overview.balance
    return Account(
        folder=str(folder.root),
        ledger=addresses.shown(addresses.parse(folder.ledger_url)),
        rates=rates,
        cap=rates.of(balance.cap_micro),
        spent=rates.of(balance.spent_micro),
        reserved=rates.of(balance.reserved_micro),
        left=rates.of(balance.left_micro),
        tiers=tuple(_tier(row, rates) for row in overview.tally),
        entries=tuple(_line(entry) for entry in overview.entries),
        entries_in_all=overview.count,
        withdrawals=tuple(
            WithdrawalLine(
                seq=w.seq, frame_seq=w.frame_seq, job_key=w.job_key, reason=w.reason, at=w.at
            )
            for w in withdrawals
        ),
        broken=broken,
    )


def _tier(row: TierTally, rates: Rates) -> TierAccount:
    mean = row.mean_core_seconds
    return TierAccount(
        tier=row.tier,
        purpose=row.purpose.name.lower(),
        done=row.done,
        in_flight=row.in_flight,
        failed=row.failed,
        failed_attempts=row.failed_attempts,
        adopted=row.adopted,
        withdrawn=row.withdrawn,
        spent=rates.of(row.spent_micro),
        wasted=rates.of(row.spent_on_failures_micro),
        core_seconds_a_label=None if math.isnan(mean) else mean,
    )


def _line(entry: Entry) -> EntryLine:
    return EntryLine(
        id=entry.id,
        at=entry.at,
        kind=entry.kind,
        reservation=entry.reservation,
        core_seconds=from_micro(entry.amount_micro),
        note=entry.note,
    )
