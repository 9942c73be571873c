"""The reporter that draws a campaign's progress on a terminal, or writes it into a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.platform.screen.wording import duration
from forgefield.storage.records import Tier

LINE_EVERY_S = 30.0
"""Between lines of one bar, where there is no terminal to draw it on."""


class Terminal:
    """Bars that replace each other; lines that stay. Use as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[detail]}", style="dim"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}

    @contextmanager
    def shown(self) -> Iterator["Terminal"]:
        """Draw while inside."""
        with self._bars:
            yield self

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Move a bar, made when it is first heard of; a line now and then without a terminal."""
        if not self._console.is_terminal:
            self._tell(name, done, total, detail)
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, detail="")
        task = self._tasks[name]
        self._bars.update(task, completed=done, total=max(total, 1), detail=detail)
        if done >= total:
            self._bars.stop_task(task)

    def _tell(self, name: str, done: int, total: int, detail: str) -> None:
        now = time.monotonic()
        if now - self._told.setdefault(name, now) >= LINE_EVERY_S:
            self._told[name] = now
            self.say(f"{name} {done:,}/{total:,} {detail}".rstrip())

    def end(self, name: str) -> None:
        """Take a bar away."""
        if name in self._tasks:
            self._bars.update(self._tasks[name], visible=False)

    def labels(self, progress: LabelProgress) -> None:
        """One bar a tier, with what it spent."""
        for tier in reversed(Tier):
            done, failed = progress.done[tier], progress.failed[tier]
            ahead = progress.in_flight[tier] + progress.queued[tier]
            if not done + failed + ahead:
                continue
            detail = f"{duration(progress.spent[tier])} spent"
            if failed:
                detail += f", {failed} failed"
            self.bar(f"{tier.value} labels", done, done + ahead, detail)
