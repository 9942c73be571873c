"""Locks on files: one driver a run, one writer a frame store.

The kernel drops a lock when its process dies, however it dies: there are no stale locks.
"""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO, Self

from forgefield.storage.errors import RunBusy

TRIES, PAUSE_S = 5, 0.05


class FileLock:
    """An exclusive lock on a file, which holds the pid and host of its holder."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock at once, or raise `RunBusy` that names its holder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="utf-8")
        if not _locked_soon(file):
            holder = _holder(file)
            file.close()
            raise RunBusy(f"{self._path.parent} is in use by {holder}. Wait, or stop it.")
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
        file.flush()
        self._file = file

    def is_held(self) -> bool:
        """Whether some process is known to hold the lock now; see `held_if_known`."""
        return self.held_if_known() is True

    def held_if_known(self) -> bool | None:
        """Whether some process holds the lock; `None` where this one may not ask.

        Asking leaves the file as it is.
        """
        try:
            with self._path.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._file is not None:
            self._file.close()
            self._file = None


class RunLock(FileLock):
    """The lock of a run folder: whoever holds it drives the run."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(Path(folder) / "run.lock")


def _locked_soon(file: IO[str]) -> bool:
    """Take the lock, trying for a moment: `is_held` of another process may be in the way."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(PAUSE_S)
        else:
            return True
    return False


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        known = json.load(file)
    except ValueError:
        return "another process"
    return f"process {known['pid']} on {known['host']}"
