"""Where the trainings of a benchmark run, and how many at a time."""

from forgefield.platform.planning.machine import this_machine
from forgefield.storage.errors import InputError


def device_of(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where torch finds one. Raises `InputError`."""
    import torch

    there = torch.cuda.is_available()
    if wanted not in {"auto", "cpu", "cuda"}:
        raise InputError(f"{wanted!r} is no device. Choose auto, cpu or cuda.")
    if wanted == "cuda" and not there:
        raise InputError(
            "torch finds no GPU here. Say --device cpu, or install a CUDA build of it."
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def parallel_of(wanted: int | None, device: str) -> int:
    """Stages at a time: by default one a GPU, or one a core where there is none."""
    if wanted is not None:
        return wanted
    if device == "cuda":
        import torch

        return int(torch.cuda.device_count())
    return this_machine().cores
