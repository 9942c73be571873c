"""What a campaign says while it runs, without knowing who listens."""

from collections.abc import Callable
from typing import Protocol

from forgefield.platform.screen.label_progress import LabelProgress


class Reporter(Protocol):
    """Listener to a campaign: the terminal, a log, or nobody."""

    def say(self, text: str) -> None:
        """A line for people."""

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Progress of a step that knows its length, and a word on it."""

    def end(self, name: str) -> None:
        """A step is over, whether or not it went its whole length."""

    def labels(self, progress: LabelProgress) -> None:
        """Progress of labelling."""


class Once:
    """Says each text once, however often it is asked to; an empty one never."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._said = say, {""}

    def __call__(self, text: str) -> None:
        """Say it, unless it has been said."""
        if text not in self._said:
            self._said.add(text)
            self._say(text)
