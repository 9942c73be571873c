"""Where numbers were made: what they don't depend on in intent, and do to the last digit."""

from importlib.metadata import PackageNotFoundError, version

from forgefield.storage.documents import Document

LIBRARIES = ("forgefield", "torch", "e3nn", "torch-geometric", "numpy", "scipy", "ray")


class Made(Document):
    """The device with its name, threads of a processor, versions of libraries."""

    device: str
    threads: int
    versions: dict[str, str]


def made_here(device: str, threads: int) -> Made:
    """On this machine, in this process."""
    return Made(device=device_name(device), threads=threads, versions=versions())


def versions() -> dict[str, str]:
    """Those of `LIBRARIES` that are installed."""
    return {name: found for name in LIBRARIES if (found := _version(name))}


def device_name(device: str) -> str:
    """`cpu`, or `cuda: NVIDIA H200`."""
    if device != "cuda":
        return device
    import torch

    return f"cuda: {torch.cuda.get_device_name()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
