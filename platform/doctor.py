"""A look at the installation: what is here, what is missing, how to get it."""

import os
import platform as system
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from forgefield.platform.planning.machine import this_machine
from forgefield.storage.documents import Document

PROGRAMS = {
    "pyscf": "DFT and CCSD(T) labels",
    "tblite": "GFN2-xTB labels",
    "openmm": "sampling and MMFF94 labels",
    "rdkit": "molecules and MMFF94 parameters",
    "ase": "structure files, the calculator",
    "ray": "running labels and training side by side",
    "zarr": "the frame store",
    "sqlalchemy": "the cost ledger",
    "torch": "training",
    "torch-geometric": "the models",
    "safetensors": "saved models",
    "matplotlib": "the report's plots",
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LEAST_MEMORY = 4_000_000_000
LEAST_DISK = 2_000_000_000


class ProgramFound(Document):
    """One library: `version` is empty where it is missing."""

    name: str
    version: str
    purpose: str


class Checkup(Document):
    """What `platform doctor` found; `advice` is empty when all is well."""

    python: str
    system: str
    cores: int
    memory_bytes: int
    disk_free_bytes: int
    gpu: str
    threads: dict[str, str]
    programs: tuple[ProgramFound, ...]
    missing: tuple[str, ...]
    advice: tuple[str, ...]


def examine() -> Checkup:
    """Look at this machine and this environment; nothing is changed."""
    machine = this_machine()
    programs = tuple(
        ProgramFound(name=n, version=_version(n), purpose=p) for n, p in PROGRAMS.items()
    )
    missing = tuple(program.name for program in programs if not program.version)
    threads = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    disk = shutil.disk_usage(Path.cwd()).free
    return Checkup(
        python=system.python_version(),
        system=f"{system.system()} {system.machine()}",
        cores=machine.cores,
        memory_bytes=machine.memory_bytes,
        disk_free_bytes=disk,
        gpu=_gpu() if "torch" not in missing else "",
        threads=threads,
        programs=programs,
        missing=missing,
        advice=tuple(_advice(missing, machine.memory_bytes, disk, threads)),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _advice(missing: tuple[str, ...], memory: int, disk: int, threads: dict[str, str]) -> list[str]:
    advice = []
    if missing:
        advice.append(
            f"Missing: {', '.join(missing)}. Install them with `pip install "
            "-c constraints.txt -e '.[platform]'` in this environment."
        )
    if memory < LEAST_MEMORY:
        advice.append(
            f"Only {memory / 1e9:.1f} GB for labels: CCSD(T) fits the smallest molecules only."
        )
    if disk < LEAST_DISK:
        advice.append(f"Only {disk / 1e9:.1f} GB free here: put the run elsewhere with --workdir.")
    if threads:
        advice.append(
            f"{', '.join(threads)} set: labels and training choose their own threads; "
            "unset them unless a job script needs them."
        )
    return advice
