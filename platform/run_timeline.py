"""What happened when in a run: one JSON object a line, read past what a crash tore."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append_event(path: Path, event: Mapping[str, object]) -> None:
    """Add an event with the present time, on a line of its own whatever the last one ends with."""
    line = json.dumps({"time": time.time(), **event}).encode() + b"\n"
    with path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events so far; lines that a crash or a full disk tore are left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [event for line in lines if (event := _event(line)) is not None]


def _event(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(found, dict) and {"time", "event"} <= found.keys()
    return found if whole else None
