"""Where this user keeps what was measured on this machine: `$XDG_CACHE_HOME` or `~/.cache`.

What is lost there is measured again, so whoever keeps a file there lets nothing stop a run: what
can't be read counts as empty.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_file(name: str) -> Path:
    """Place of a file of ours, whether or not it is there."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return folder / "forgefield" / name


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Writers of this file take turns, by a lock beside it; raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
