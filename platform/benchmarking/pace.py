"""How much longer a benchmark trains, from the steps that were seen so far.

The time of a step is taken between two reports of one stage, so loading frames, compiling and
steps of an earlier process don't count; with several stages at a time the time left is divided
by those that are at work now. Stages that were found finished are no work.

Invariant: what is done and what is open are together the steps that were announced.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.screen.wording import duration

ALL = "all steps"


@dataclass(slots=True)
class Pace:
    """Steps of all stages (`total`), those `settled` for good, and what was seen of the others."""

    total: int
    clock: Callable[[], float] = time.monotonic
    settled: int = 0
    seen_steps: int = 0
    seen_s: float = 0.0
    _at_work: dict[str, tuple[int, float]] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)

    def at(self, stage: str, step: int) -> None:
        """A stage has come to this step."""
        now = self.clock()
        before, then = self._at_work.setdefault(stage, (step, now))
        self._reached[stage] = step
        if step > before:
            self.seen_steps += step - before
            self.seen_s += now - then
            self._at_work[stage] = step, now

    def ended(self, stage: str) -> None:
        """A stage is no longer at work."""
        self._at_work.pop(stage, None)

    def give_up(self, stage: str, steps: int) -> None:
        """A stage of so many steps ends before its last one, and needn't be done."""
        self.ended(stage)
        self._reached[stage] = steps

    def settle(self, steps: int) -> None:
        """So many steps, from the first stage on, are done or needn't be done."""
        self.settled = steps
        self._reached.clear()

    @property
    def done(self) -> int:
        """Steps that are behind us."""
        return min(self.total, self.settled + sum(self._reached.values()))

    @property
    def left_s(self) -> float | None:
        """Seconds to go; `None` while nothing is known."""
        if not self.seen_steps:
            return None
        each_s = self.seen_s / self.seen_steps
        return (self.total - self.done) * each_s / max(1, len(self._at_work))


class WithTimeLeft:
    """A reporter that has a bar of all steps beside that of each stage."""

    def __init__(self, reporter: Reporter, pace: Pace) -> None:
        self._reporter, self._pace = reporter, pace

    def say(self, text: str) -> None:
        """A line for people."""
        self._reporter.say(text)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Progress of a stage, and with it of all of them."""
        self._reporter.bar(name, done, total, detail)
        self._pace.at(name, done)
        self.whole()

    def end(self, name: str) -> None:
        """A stage is over."""
        self._reporter.end(name)
        self._pace.ended(name)

    def whole(self) -> None:
        """Progress of all stages."""
        left_s = self._pace.left_s
        detail = "" if left_s is None else f"about {duration(left_s)} left"
        self._reporter.bar(ALL, self._pace.done, self._pace.total, detail)

    def labels(self, progress: LabelProgress) -> None:
        """Progress of labelling, which a benchmark has none of."""
        self._reporter.labels(progress)
