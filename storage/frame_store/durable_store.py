"""A local Zarr store whose writes become visible together, and last.

`set` writes a hidden file beside the key; `flush` makes all of them durable, renames them over
their keys and makes the renames durable. A kill at any point leaves each key whole, old or new,
and a key that was flushed survives a power cut. (Zarr's own `LocalStore` renames atomically but
never calls fsync.)
"""

import os
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

PARTIAL_SUFFIX = ".partial"
THREADS = 16


class DurableStore(LocalStore):
    """Local store in two steps: `set` any number of keys, then `flush`.

    A key that was set reads as before until the flush. One writer only.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._waiting: dict[Path, Path] = {}

    async def set(self, key: str, value: Buffer) -> None:
        """Write `value` beside its key, to be flushed."""
        self.set_sync(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write `value` beside its key, to be flushed."""
        self._check_writable()
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.parent / f".{path.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
        with waiting.open("wb") as file:
            file.write(value.as_buffer_like())
        replaced = self._waiting.pop(path, None)
        if replaced is not None:
            replaced.unlink(missing_ok=True)
        self._waiting[path] = waiting

    def flush(self) -> None:
        """Make every waiting key durable, then visible in the order of their `set`."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(_sync_file, self._waiting.values()))
            for path, waiting in self._waiting.items():
                waiting.replace(path)
            list(pool.map(_sync_folder, self._folders()))
        self._waiting.clear()

    def discard(self) -> None:
        """Forget every waiting key."""
        for waiting in self._waiting.values():
            waiting.unlink(missing_ok=True)
        self._waiting.clear()

    def _folders(self) -> Iterable[Path]:
        return {
            folder
            for path in self._waiting
            for folder in path.parents
            if folder == self.root or self.root in folder.parents
        }


def replace_file(path: Path, content: Iterable[bytes]) -> None:
    """Write a file so that it is either the old one or the whole new one, durably."""
    waiting = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}")
    try:
        with waiting.open("wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
