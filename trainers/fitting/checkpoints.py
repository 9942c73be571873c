"""Checkpoints: tensors and notes in one file that is whole or absent, no pickle."""

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from forgefield.storage.errors import StorageError


def write_tensors(
    tensors: dict[str, Tensor], path: Path, notes: dict[str, str] | None = None
) -> None:
    """A safetensors file; `StorageError` where the disk takes none, and no half of it stays."""
    try:
        save_file(tensors, path, notes)
    except (SafetensorError, OSError) as error:
        path.unlink(missing_ok=True)
        raise StorageError(
            f"Can't write {path}: {error}. Make room on the disk, and run the same command again."
        ) from error


def save_atomically(path: Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    """Write a safetensors file so that a reader sees the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    write_tensors({name: value.contiguous() for name, value in tensors.items()}, partial, notes)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Tensors and notes of what `save_atomically` wrote; a damaged file is as good as none."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return None
