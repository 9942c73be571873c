"""Which library multiplies matrices of which shape faster here, kept from process to process.

The two round differently. So a fit is the same whenever it is run on this kind of machine, and in
every rank, only if all take the same choices: they lie in a small file in the user's cache
(`forgefield/products.json`), by processor, version of PyTorch and threads. Whoever writes first
wins, so processes that time one shape at the same moment go on with one choice. Nothing here stops
a fit: a file that can't be read counts as empty; where it can't be written each process has
choices of its own.
"""

import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.user_cache import alone_with, cache_file

MOST_SHAPES = 10_000
Choices = dict[str, bool]


class _ProductFile(BaseModel):
    """Choices by shape, of each kind of machine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = 1
    machines: dict[str, Choices] = {}


def agreed(shapes: Iterable[str], timed: Callable[[str], bool]) -> Choices:
    """The kept choice for each shape; those that nobody has made are timed, and kept."""
    wanted, path, machine = list(shapes), cache_file("products.json"), this_kind()
    kept = _read(path).get(machine, {})
    new = {shape: timed(shape) for shape in wanted if shape not in kept}
    if new:
        kept = _keep(path, machine, new)
    return {shape: kept[shape] for shape in wanted}


def this_kind() -> str:
    """What the faster library depends on besides the shape, in words."""
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f"{_processor()}, {capability}, torch {torch.__version__}, {threads} threads, float32"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _keep(path: Path, machine: str, new: Choices) -> Choices:
    """All choices of this machine, with those of `new` that nobody else has written meanwhile."""
    try:
        with alone_with(path):
            machines = _read(path)
            kept = {**new, **machines.get(machine, {})}
            latest = dict(list(kept.items())[:MOST_SHAPES])
            body = _ProductFile(machines={**machines, machine: latest}).model_dump_json(indent=1)
            replace_file(path, [body.encode()])
    except OSError:
        return {**new, **_read(path).get(machine, {})}
    return kept


def _read(path: Path) -> dict[str, Choices]:
    try:
        return _ProductFile.model_validate_json(path.read_bytes()).machines
    except (OSError, ValidationError):
        return {}
