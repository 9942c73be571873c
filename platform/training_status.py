"""What trains in a run now, and for how long, read without disturbing it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.documents import Document
from forgefield.trainers.stages.names import in_words
from forgefield.trainers.stages.progress import PROGRESS, unfinished

Events = Sequence[Mapping[str, Any]]
"""A run's timeline, as `RunFolder.events` reads it."""
BEGAN, ENDED = "training began", "training ended"
"""Of the last training in a run's timeline; those of rounds belong to labelling."""


class StageStatus(Document):
    """A stage that trains now: steps, and its best error so far in kcal/mol/Å on validation frames.

    It has made no step while it loads and compiles.
    """

    name: str
    step: int
    steps: int
    error: float | None


def stages_of(folder: RunFolder) -> Iterator[StageStatus]:
    """What trains, in a round or at the end."""
    for place in (*sorted(folder.rounds.glob("*/training")), folder.training):
        for name, line in unfinished(place / PROGRESS, place):
            yield StageStatus(
                name=in_words(name),
                step=line.fit.step,
                steps=line.fit.steps,
                error=line.best_kcal,
            )


def training_s(events: Events) -> float | None:
    """How long the last training has gone on since its last start, where it goes on."""
    turns = [e for e in events if e["event"] in (BEGAN, ENDED)]
    going = bool(turns) and turns[-1]["event"] == BEGAN
    return time.time() - float(turns[-1]["time"]) if going else None


def rest_of(quoted_s: float | None, gone_s: float | None) -> float | None:
    """What a quote leaves; None once it is exceeded."""
    if quoted_s is None or gone_s is None or gone_s > quoted_s:
        return None
    return quoted_s - gone_s
