"""What a fit has to tell people reaches the screen, once, whoever else says the same."""

import math
import time
from pathlib import Path

from forgefield.platform import training
from forgefield.trainers.settings import Progress
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
