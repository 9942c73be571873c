"""Progress where there is no terminal: a line now and then, so that a log shows life."""

import io

import pytest
from rich.console import Console

from forgefield.platform.screen import terminal
from forgefield.platform.screen.terminal import Terminal


def test_a_log_gets_a_line_of_each_bar_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Terminal(Console(file=out, width=80)).shown() as reporter:
        for second in range(0, 100, 5):
            now[0] = float(second)
            reporter.bar("ccsd labels", second, 1000, "2 s spent")
            reporter.bar("dft labels", 1, 2)
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert lines[:2] == ["ccsd labels 30/1,000 2 s spent", "dft labels 1/2"]
    assert len(lines) == 6


def test_a_terminal_gets_bars() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True)
    with Terminal(console).shown() as reporter:
        reporter.bar("ccsd labels", 3, 10)
    assert "ccsd labels" in out.getvalue()
    assert "━" in out.getvalue()
