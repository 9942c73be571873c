"""Files of a store whose changes become visible together, and last.

`set_sync` writes a hidden file beside the key; `flush` makes all of them durable, renames them over
their keys and makes the renames durable. A kill at any point leaves each key whole, old or new,
and a key that was flushed survives a power cut.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
THREADS = 8
Stage = dict[Path, Path]


class DurableStore:
    """A folder that is written in two steps: `set_sync` any number of keys, then `flush`.

    A key that was set reads as before until the flush. `barrier` between two keys: what comes
    after it becomes visible only once all that came before is durable. One writer only.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._stages: list[Stage] = [{}]
        self._reachable = {self.root.parent}
        self._mark, self._count = uuid.uuid4().hex, 0

    def set_sync(self, key: str, content: bytes) -> None:
        """Write `content` beside its key, to be flushed; raises `OSError`."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._count += 1
        waiting = path.parent / f".{path.name}.{self._mark}.{self._count}{PARTIAL_SUFFIX}"
        replaced = self._stages[-1].get(path)
        self._stages[-1][path] = waiting
        waiting.write_bytes(content)
        if replaced is not None:
            replaced.unlink(missing_ok=True)

    def barrier(self) -> None:
        """Later keys become visible only after all earlier ones are durable."""
        self._stages.append({})

    def flush(self) -> None:
        """Make every waiting key durable, then visible, stage by stage in the order of setting.

        Raises `OSError`; what isn't visible by then still waits.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(_sync_files, _shared(self._waiting())))
            for stage in self._stages:
                for path, waiting in stage.items():
                    waiting.replace(path)
                changed = self._changed(stage)
                list(pool.map(_sync_folders, _shared(changed)))
                self._reachable.update(changed)
        self._stages = [{}]

    def discard(self) -> None:
        """Forget every waiting key."""
        for waiting in self._waiting():
            waiting.unlink(missing_ok=True)
        self._stages = [{}]

    def _waiting(self) -> Iterator[Path]:
        return (waiting for stage in self._stages for waiting in stage.values())

    def _changed(self, stage: Stage) -> Iterable[Path]:
        """Folders of the keys, and those above them that may not durably hold the one below."""
        changed = {}
        for path in stage:
            folder = path.parent
            changed[folder] = True
            while folder not in self._reachable:
                folder = folder.parent
                changed[folder] = True
        return changed


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
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder durably, and those above it that are missing."""
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: what was made or renamed there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shared(paths: Iterable[Path]) -> list[list[Path]]:
    """A list for each thread: handing over single files would take longer than the disk."""
    every = list(paths)
    return [every[thread::THREADS] for thread in range(min(THREADS, len(every)))]


def _sync_files(paths: Iterable[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _sync_folders(paths: Iterable[Path]) -> None:
    for path in paths:
        sync_folder(path)
