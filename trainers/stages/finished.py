"""Which stages are trained already: results on disk, found by the hash of all they came from.

A stage's key says what its task asks for. The force fields that it starts from are data: one
that a stage made is named by that stage's key and data set, any other by its files.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from forgefield.trainers.stages.tasks import DESCRIPTION, StageResult, StageTask

FILES, BASE = ("weights.safetensors", "force_field.json"), "base"
"""What a force field is saved as, and where one under it lies; `force_field` itself loads torch."""


def finished(task: StageTask, dataset: str) -> StageResult | None:
    """The stored result of the same task on the same data set, or `None`.

    What can't be read, of another version or damaged, isn't there.
    """
    try:
        text = (task.output / DESCRIPTION).read_text(encoding="utf-8")
        result = StageResult.model_validate_json(text)
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        return None
    if (result.key, result.dataset) != (task_key(task), dataset):
        return None
    return result.model_copy(update={"output": task.output, "name": task.name, "reused": True})


def finished_chain(chain: Sequence[StageTask]) -> tuple[StageResult, ...] | None:
    """The stored results of all tasks of a chain, or `None` where one has none."""
    from forgefield.storage.frame_store import dataset_version

    results: list[StageResult] = []
    for task in chain:
        result = finished(task, str(dataset_version(task.frames)))
        if result is None:
            return None
        results.append(result)
    return tuple(results)


def task_key(task: StageTask) -> str:
    """Hash of the task and of the force fields that it starts from."""
    digest = hashlib.blake2b(task.key().encode(), digest_size=16)
    for role in ("start", "teacher", "base"):
        folder = getattr(task, role)
        if folder is not None:
            digest.update(f"|{role}:{_origin(folder)}".encode())
    return digest.hexdigest()


def _origin(folder: Path) -> str:
    """What a force field came from, wherever its folder lies; one that isn't there has its path."""
    try:
        stored = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _contents(folder) if folder.is_dir() else str(folder)
    return f"{stored['key']}@{stored['dataset']}"


def _contents(folder: Path) -> str:
    """Hash of the files of a force field and of those under it."""
    digest = hashlib.blake2b(digest_size=16)
    while folder.is_dir():
        for path in (folder / name for name in FILES):
            whole = path.read_bytes() if path.exists() else b""
            digest.update(hashlib.blake2b(whole).digest())
        folder = folder / BASE
    return digest.hexdigest()
