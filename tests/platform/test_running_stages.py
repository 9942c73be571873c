"""How many stages run at a time, and what reaches the screen of them."""

import math
import time
from pathlib import Path

import pytest

from forgefield.platform import training
from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.ray_train import RaySettings
from forgefield.trainers.settings import Progress
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.progress import write_progress
from forgefield.trainers.stages.tasks import StageProgress


class Notes:
    """A screen that keeps what is said on it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended: list[str] = []

    def say(self, text: str) -> None:
        """Kept."""
        self.said.append(text)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Nothing is drawn."""

    def end(self, name: str) -> None:
        """Kept too."""
        self.ended.append(name)


@pytest.mark.parametrize(
    ("cores", "workers", "parallel", "each"),
    [(8, 1, 8, 1), (8, 3, 2, 3), (2, 4, 1, 2), (0, 1, 1, 1)],
)
def test_workers_of_a_stage_share_what_there_is(
    cores: int,
    workers: int,
    parallel: int,
    each: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than there are would wait for ever."""
    asked: list[RaySettings] = []
    monkeypatch.setattr(training, "gpus_seen", lambda: 0)
    monkeypatch.setattr(training, "gpus_at_hand", lambda: 0)

    def endings(_: object, settings: RaySettings, __: object) -> list[Ending]:
        asked.append(settings)
        return [TrainingDiverged("standard-1-member-2: the loss is nan")]

    monkeypatch.setattr(training, "endings_of", endings)
    screen = Notes()
    with training.running_stages(tmp_path, cores, screen, workers=workers) as runner:  # type: ignore[arg-type]
        runner([])
    assert [(one.parallel, one.workers, one.gpu) for one in asked] == [(parallel, each, False)]
    (said,) = screen.said
    assert "standard-1-member-2: the loss is nan" in said


def test_what_fits_say_is_said_once(tmp_path: Path) -> None:
    screen, progress = Notes(), tmp_path / "progress"
    with training.progress_bars(progress, tmp_path, screen):  # type: ignore[arg-type]
        for name in ("one", "two", "three"):
            said = "" if name == "three" else "no compiler"
            fit = Progress(1, 30, 0.1, math.nan, math.nan, said)
            write_progress(progress, StageProgress(name, 1, 1, fit))
        deadline = time.monotonic() + 30
        while not screen.said and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2 * training.POLL_S)
    assert screen.said == ["no compiler"]
    assert len(screen.ended) == 3
