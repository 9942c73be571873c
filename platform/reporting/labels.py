"""The sections about labels: what was bought at every tier, and what failed."""

import math
from collections import Counter
from collections.abc import Sequence

from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import (
    DASH,
    Section,
    Table,
    core_hours,
    count,
    listed,
    money,
    percent,
)
from forgefield.platform.screen.wording import duration, three_digits
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro


def labels_section(facts: Facts) -> Section:
    """What was planned, bought and lost at every tier, at what cost a label."""
    rows = tuple(_labels_row(facts, tier) for tier in Tier)
    head = ("tier", "method", "planned", "done", "failed", "core-time a label", "total")
    done = sum(row.done for row in facts.tally)
    total = core_hours(from_micro(facts.balance.spent_micro))
    failed = sum(row.failed for row in facts.tally)
    planned = f"{sum(q.total for q in facts.plan.tiers):,}" if facts.plan else DASH
    rows += (("all", "", planned, f"{done:,}", f"{failed:,}", "", total),)
    table = Table(head, rows, left=2, last_is_sum=True, note=_programs(facts))
    return Section("labels", "Labels", _purposes(facts) + _shared(facts), tables=(table,))


def _labels_row(facts: Facts, tier: Tier) -> tuple[str, ...]:
    rows = [row for row in facts.tally if row.tier == tier]
    planned = f"{facts.plan.tier(tier).total:,}" if facts.plan else DASH
    return (
        tier.value,
        facts.plan.tier(tier).method if facts.plan else DASH,
        planned,
        f"{sum(row.done for row in rows):,}",
        f"{sum(row.failed for row in rows):,}",
        _mean_and_spread(rows),
        core_hours(from_micro(sum(row.spent_micro for row in rows))),
    )


def _mean_and_spread(rows: Sequence[TierTally]) -> str:
    """Mean ± standard deviation over all purposes together, pooled from theirs."""
    known = [row for row in rows if row.bought and math.isfinite(row.mean_core_seconds)]
    number = sum(row.bought for row in known)
    if not number:
        return DASH
    mean = sum(row.bought * row.mean_core_seconds for row in known) / number
    if number == 1:
        return duration(mean)
    squares = sum(
        (row.bought - 1) * (row.std_core_seconds**2 if row.bought > 1 else 0.0)
        + row.bought * (row.mean_core_seconds - mean) ** 2
        for row in known
    )
    spread = math.sqrt(squares / (number - 1))
    value, unit = duration(mean).split()
    scale = mean / float(value.replace(",", ""))
    return f"{value} ± {three_digits(float(f'{spread / scale:.2g}'))} {unit}"


def _purposes(facts: Facts) -> str:
    """What the target tier's labels were bought for."""
    done = Counter({row.purpose: row.done for row in facts.tally if row.tier == Tier.CCSD})
    parts = [
        f"{done[purpose]} for {word}"
        for purpose, word in (
            (Purpose.TRAIN, "training"),
            (Purpose.VALIDATION, "validation"),
            (Purpose.HOLDOUT, "the hold-out"),
            (Purpose.CALIBRATION, "calibration, which train as well"),
        )
        if done[purpose]
    ]
    if not parts:
        return "No label of the target tier is done yet."
    return f"Of the {count(done.total(), 'target-tier label')}: {listed(parts)}."


def _shared(facts: Facts) -> str:
    """What came from the label book, and what it would have cost."""
    found, saved = facts.saved.labels, facts.saved.core_seconds
    if not found:
        return ""
    return (
        f" {count(found, 'label')} came from runs before this one, which saved {core_hours(saved)}."
    )


def _programs(facts: Facts) -> str:
    if facts.frames is None:
        return "Programs and versions follow with the first packed frames."
    parts = []
    for tier in Tier:
        origins = facts.frames.of_tier(tier).provenance
        used = {origins.programs[index] for index in origins.program_F}
        names = sorted(f"{program.name} {program.version}" for program in used)
        parts += [f"{tier}: {listed(names)}"] if names else []
    return "Programs: " + "; ".join(parts) + "."


def failures_section(facts: Facts) -> Section:
    """Every kind of failure, how often, at what cost."""
    if not facts.failures:
        return Section("failures", "Failures", "None: every label that was begun succeeded.")
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row in facts.failures:
        key = (row.method.tier.value, row.failure.kind, _shortened(row.failure.message))
        groups.setdefault(key, []).append(row.used_micro)
    ordered = sorted(groups.items(), key=lambda item: (-sum(item[1]), item[0]))
    rows = tuple(
        (kind, message, tier, f"{len(used):,}", core_hours(from_micro(sum(used))))
        for (tier, kind, message), used in ordered
    )
    cost = from_micro(sum(row.used_micro for row in facts.failures))
    share = percent(cost / max(from_micro(facts.balance.spent_micro), 1e-9))
    number = count(len(facts.failures), "failed attempt")
    lead = f"{number}, {money(facts, cost)} or {core_hours(cost)} ({share} of the spend)."
    head = ("kind", "message", "tier", "attempts", "cost")
    return Section("failures", "Failures", lead, tables=(Table(head, rows, left=3),))


def _shortened(message: str) -> str:
    return message if len(message) <= 160 else message[:159] + "…"
