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
PRIOR_WITHOUT_LOSS = 20
"""So many labels without a failure are taken as seen: one early loss is no rule."""


@dataclass(slots=True)
class Score:
    """Labels done and core-seconds spent by tier, earlier drivers' included; failures of this one.

    `bought` leaves out the labels that cost nothing, and counts what was withdrawn later, which was
    paid all the same. What was cut off with an earlier driver is tried again, so it counts as no
    failure here. `lost` is what of `spent` went into failed attempts, whoever made them.
    """

    done: Counter[Tier] = field(default_factory=Counter)
    bought: Counter[Tier] = field(default_factory=Counter)
    failed: Counter[Tier] = field(default_factory=Counter)
    spent: dict[Tier, float] = field(default_factory=lambda: dict.fromkeys(Tier, 0.0))
    lost: dict[Tier, float] = field(default_factory=lambda: dict.fromkeys(Tier, 0.0))
    latest: list[tuple[Tier, float]] = field(default_factory=list)

    @classmethod
    def of(cls, tally: Sequence[TierTally]) -> Self:
        """The score as the ledger knows it."""
        score = cls()
        for row in tally:
            score.done[row.tier] += row.done
            score.bought[row.tier] += row.bought
            score.spent[row.tier] += from_micro(row.spent_micro)
            score.lost[row.tier] += from_micro(row.spent_on_failures_micro)
        return score

    def cost(self, tier: Tier, planned: float) -> float:
        """Core-seconds now expected of a label that succeeds: the plan's and what was paid since.

        Its limits follow from this: failures, which took all that they might, would widen them.
        """
        on_labels = max(0.0, self.spent[tier] - self.lost[tier])
        return running_cost(planned, PRIOR_LABELS, on_labels, self.bought[tier])

    def loss(self, tier: Tier) -> float:
        """Core-seconds that failures are expected to add to each label."""
        return self.lost[tier] / (PRIOR_WITHOUT_LOSS + self.bought[tier])

    def price(self, tier: Tier, planned: float) -> float:
        """Core-seconds that a label is expected to take from the budget, failures included."""
        return self.cost(tier, planned) + self.loss(tier)

    def add(self, tier: Tier, done: int, core_seconds: float, jobs: int) -> None:
        """Count a settled reservation of `jobs`, of which `done` gave a label."""
        self.pay(tier, done, core_seconds, jobs)
        self.latest.append((tier, core_seconds / jobs))

    def pay(self, tier: Tier, done: int, core_seconds: float, jobs: int) -> None:
        """The same for one whose worker died: nobody is shown what its labels took."""
        self.done[tier] += done
        self.bought[tier] += done
        self.spent[tier] += core_seconds
        self.lost[tier] += core_seconds * (jobs - done) / jobs

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
