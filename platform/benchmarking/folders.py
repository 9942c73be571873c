"""The folder of a benchmark: it belongs to one, and to one process at a time.

Stages are named by row, ratio and seed alone, so another benchmark in the same folder would replace
them. What makes a benchmark another one is noted in `benchmark.json`; seeds, efforts, ratios, rows
and what is measured may change. Notes of older versions lack some of it, and what they lack agrees.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.results import write
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.run_lock import FileLock

IDENTITY, LOCK = "benchmark.json", "benchmark.lock"


class PassingLock(FileLock):
    """A lock whose file goes with it.

    One that was taken on a file that its holder removed meanwhile locks nobody out; it is taken
    again on the file that is in its place.
    """

    def acquire(self) -> None:
        """Take the lock at once, or raise `RunBusy` that names its holder."""
        super().acquire()
        while not self._in_place():
            super().release()
            super().acquire()

    def release(self) -> None:
        """Remove the file, then give the lock back."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
        super().release()

    def _in_place(self) -> bool:
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


class Identity(Document):
    """Which benchmark a folder is of: files by their sha256, units as they were read."""

    kind: str
    model: str
    budget: int | None
    accurate: str
    cheap: str
    test: str | None
    recipe: str | None = None
    units: tuple[str, str] = ("", "")
    validation: int | None = None
    redraw: bool = False


@contextmanager
def own_folder(prepared: Prepared, kind: str, budget: int | None) -> Iterator[None]:
    """Hold the output folder of a benchmark.

    Raises `InputError` where it is another one's, `RunBusy` where another process works in it.
    """
    asked, folder = prepared.asked, prepared.asked.out
    recipe = asked.recipe
    identity = Identity(
        kind=kind,
        model=prepared.preset.model.kind,
        budget=budget,
        accurate=prepared.accurate.sha256,
        cheap=prepared.cheap.sha256,
        test=None if prepared.test is None else prepared.test.sha256,
        recipe=None if recipe is None else hashlib.sha256(recipe.read_bytes()).hexdigest(),
        units=(prepared.accurate.unit, prepared.cheap.unit),
        validation=asked.validation,
        redraw=asked.redraw,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Can't make the folder {folder}: {error.strerror}. Choose another --out."
        ) from error
    _refuse_another(folder, identity)
    with PassingLock(folder / LOCK):
        _refuse_another(folder, identity)
        write(folder / IDENTITY, identity.model_dump_json(indent=1) + "\n")
        yield


def _refuse_another(folder: Path, identity: Identity) -> None:
    try:
        found = Identity.model_validate_json((folder / IDENTITY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (UnicodeDecodeError, ValidationError) as error:
        raise InputError(f"{folder / IDENTITY} can't be read. Give another --out.") from error
    ours, theirs = identity.model_dump(), found.model_dump(exclude_unset=True)
    other = [name for name in theirs if ours[name] != theirs[name]]
    if other:
        said = ", ".join(
            f"{name} {_short(theirs[name])} not {_short(ours[name])}" for name in other
        )
        raise InputError(f"{folder} holds another benchmark ({said}). Give another --out.")


def _short(value: object) -> str:
    """A value in a message; of hashes the beginning."""
    return "none" if value is None else str(value)[:16]
