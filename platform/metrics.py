"""Ray metrics of a campaign by tier, served by each node's metrics endpoint while it runs.

All names start with `ray_forgefield_` there. The driver alone reports, so that every number
has one source: the tally that the dispatcher keeps.
"""

from ray.util.metrics import Gauge, Histogram

from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.records import Tier

SECONDS = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36000.0]


class CampaignMetrics:
    """Gauges and one histogram, tagged with tier and run."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._labels = Gauge(
            "forgefield_labels",
            "Labels by state: done, failed, queued or in_flight",
            tag_keys=("run", "tier", "state"),
        )
        self._spent = Gauge(
            "forgefield_spent_core_seconds", "Core-seconds charged", tag_keys=("run", "tier")
        )
        self._left = Gauge(
            "forgefield_left_core_seconds",
            "Core-seconds neither spent nor reserved",
            tag_keys=("run",),
        )
        self._busy = Gauge("forgefield_busy_cores", "Cores inside labels now", tag_keys=("run",))
        self._seconds = Histogram(
            "forgefield_label_core_seconds",
            "Core-seconds of one label",
            boundaries=SECONDS,
            tag_keys=("run", "tier"),
        )

    def show(self, progress: LabelProgress) -> None:
        """Set all gauges, and count what labels cost since the last time."""
        states = {
            "done": progress.done,
            "failed": progress.failed,
            "in_flight": progress.in_flight,
            "queued": progress.queued,
        }
        for tier in Tier:
            tags = {"run": self._run, "tier": tier.value}
            for state, counts in states.items():
                self._labels.set(counts[tier], tags | {"state": state})
            self._spent.set(progress.spent[tier], tags)
        self._left.set(progress.left, {"run": self._run})
        self._busy.set(progress.busy_cores, {"run": self._run})
        for tier, core_seconds in progress.latest:
            self._seconds.observe(core_seconds, {"run": self._run, "tier": tier.value})
