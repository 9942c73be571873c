"""An error of ours that has to outlive its process: left in a file, raised by another process."""

import json
import os
from pathlib import Path

from forgefield.storage import errors
from forgefield.storage.errors import ForgefieldError


def write_last_words(path: Path, error: ForgefieldError) -> None:
    """Leave the error's kind and text; the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    words = {"kind": type(error).__name__, "text": str(error)}
    partial.write_text(json.dumps(words), encoding="utf-8")
    partial.replace(path)


def raise_last_words(path: Path) -> None:
    """Raise what a process left at `path`, if one did."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    kind: type[ForgefieldError] = getattr(errors, words["kind"], ForgefieldError)
    raise kind(words["text"])
