"""A program in a terminal, and pictures of what stands there: needs `pip install pyte`."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
import threading
from itertools import groupby
from pathlib import Path

import psutil
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

COLUMNS, LINES, HISTORY = 100, 50, 2000


class Terminal:
    """The program runs from the start; what it prints is read until it closes."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self._screen = pyte.HistoryScreen(COLUMNS, LINES, history=HISTORY, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            words,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=[ours], daemon=True)
        self._reader.start()

    def _read(self, ours: int) -> None:
        while True:
            try:
                said = os.read(ours, 65536)
            except OSError:  # the last process has closed its end
                break
            if not said:
                break
            with self._lock:
                self._stream.feed(said)
        os.close(ours)

    def wait(self, seconds: float | None = None) -> int:
        """Exit code; raises `subprocess.TimeoutExpired`."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def kill(self, everything: bool) -> int:
        """SIGKILL to the program, or to it and all that it has started; how many died."""
        victims = [psutil.Process(self.process.pid)]
        if everything:
            victims += victims[0].children(recursive=True)
        for victim in victims:
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()
        return len(victims)

    def picture(self, path: Path) -> None:
        """Everything printed so far, as an SVG with the colours of the terminal."""
        with self._lock:
            lines = [*self._screen.history.top, *self._screen.buffer.values()]
            texts = [_text(line) for line in lines]
        while texts and not texts[-1].plain.strip():
            texts.pop()
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
        for text in texts:
            console.print(text, no_wrap=True)
        title = " ".join([Path(self.words[0]).name, *self.words[1:]])
        path.write_text(console.export_svg(title=title), encoding="utf-8")


def _text(line: "dict[int, pyte.screens.Char]") -> Text:
    text = Text()
    for style, chars in groupby((line[column] for column in range(COLUMNS)), _style):
        text.append("".join(char.data for char in chars), style)
    text.rstrip()
    return text


def _style(char: "pyte.screens.Char") -> Style:
    return Style(
        color=_colour(char.fg),
        bgcolor=_colour(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    name = name.replace("brown", "yellow")
    return name.replace("bright", "bright_")
