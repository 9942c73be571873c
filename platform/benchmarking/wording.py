"""Names of stages as people read them: `seed0-ratio40-c1-pretrain` is a folder."""

import re
from collections.abc import Iterable

from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.platform.screen.reporter import Reporter
from forgefield.trainers.stages.tasks import StageTask

STAGE = re.compile(
    r"seed(?P<seed>\d+)-(?:effort(?P<effort>[\d.]+(?:e[+-]\d+)?)-)?(?:member(?P<member>\d+)-)?"
    r"(?:ratio(?P<ratio>[\d.]+(?:e[+-]?\d+)?)-)?(?P<what>.+)-(?P<kind>standard|pretrain|finetune)"
)
KINDS = {"standard": "training", "pretrain": "pre-training", "finetune": "fine-tuning"}
WHAT = {
    "first": "fewer accurate labels",
    "all": "all accurate labels",
    "unweighted": "without weights",
    "scores": "score matching",
    "delta": "Δ-learning",
    "low": "cheap labels",
}


def in_words(stage: str) -> str:
    """`seed 0, 40:1, c 1: pre-training`; what is no stage of a benchmark stays."""
    found = STAGE.fullmatch(stage)
    if found is None:
        return stage
    what = found["what"]
    effort, member, ratio = found["effort"], found["member"], found["ratio"]
    words = [
        f"seed {found['seed']}",
        *([f"effort {effort}"] if effort else []),
        *([f"member {member}"] if member else []),
        *([f"{ratio}:1"] if ratio else []),
        WHAT.get(what) or (f"{what} labels" if what.isdigit() else re.sub(r"^c", "c ", what)),
    ]
    return f"{', '.join(words)}: {KINDS[found['kind']]}"


class InWords:
    """A reporter whose bars are named in words."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def say(self, text: str) -> None:
        """A line for people."""
        self._reporter.say(text)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Progress of a stage."""
        self._reporter.bar(in_words(name), done, total, detail)

    def end(self, name: str) -> None:
        """A stage is over."""
        self._reporter.end(in_words(name))

    def labels(self, progress: LabelProgress) -> None:
        """Progress of labelling, which a benchmark has none of."""
        self._reporter.labels(progress)


def forecast(stages: int, finished: int, steps: int) -> str:
    """What lies ahead, and what was done before, in a line."""
    found = f"; {finished:,} of them are finished already" if finished else ""
    return f"Training: {stages:,} stages, {steps:,} steps{found} …"


def steps_in(tasks: Iterable[StageTask]) -> int:
    """Steps of all phases."""
    return sum(phase.fit.steps for task in tasks for phase in task.phases)
