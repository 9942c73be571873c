"""The running count of a labelling phase."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from forgefield.platform.buying.purchasing import running_cost
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Tier
from forgefield.storage.units import from_micro

PRIOR_LABELS = 2
"""So many labels seen weigh as much as the plan's cost of one."""


@dataclass(slots=True)
class Score:
    """Labels done and core-seconds spent by tier, earlier drivers' included; failures of this one.

    `bought` leaves out the labels that cost nothing, and counts what was withdrawn later, which was
    paid all the same. What was cut off with an earlier driver is tried again, so it counts as no
    failure here.
    """

    done: Counter[Tier] = field(default_factory=Counter)
    bought: Counter[Tier] = field(default_factory=Counter)
    failed: Counter[Tier] = field(default_factory=Counter)
    spent: dict[Tier, float] = field(default_factory=lambda: dict.fromkeys(Tier, 0.0))
    latest: list[tuple[Tier, float]] = field(default_factory=list)

    @classmethod
    def of(cls, tally: Sequence[TierTally]) -> Self:
        """The score as the ledger knows it."""
        score = cls()
        for row in tally:
            score.done[row.tier] += row.done
            score.bought[row.tier] += row.bought
        score.recount_money(tally)
        return score

    def cost(self, tier: Tier, planned: float) -> float:
        """Core-seconds now expected of a label: the plan's and what was paid since."""
        return running_cost(planned, PRIOR_LABELS, self.spent[tier], self.bought[tier])

    def recount_money(self, tally: Sequence[TierTally]) -> None:
        """Take what was spent from the ledger."""
        self.spent = dict.fromkeys(Tier, 0.0)
        for row in tally:
            self.spent[row.tier] += from_micro(row.spent_micro)

    def add(self, tier: Tier, done: int, core_seconds: float, jobs: int) -> None:
        """Count a settled reservation of `jobs`, of which `done` gave a label."""
        self.done[tier] += done
        self.bought[tier] += done
        self.spent[tier] += core_seconds
        self.latest.append((tier, core_seconds / jobs))

    def progress(
        self, in_flight: Counter[Tier], queued: Counter[Tier], left: float, busy_cores: int
    ) -> LabelProgress:
        """A snapshot; what it calls latest is told once."""
        latest, self.latest = tuple(self.latest), []
        return LabelProgress(
            done=self.done.copy(),
            failed=self.failed.copy(),
            in_flight=in_flight,
            queued=queued,
            spent=dict(self.spent),
            left=left,
            busy_cores=busy_cores,
            latest=latest,
        )
