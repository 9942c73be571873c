"""Thread counts of the numerical libraries, set for one label and put back afterwards.

Nothing here runs on import: the count that a worker process had is what it has again when
the label is done, also when it failed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

from forgefield.labelers.products import fast_products

LIBRARIES = ("numpy", "scipy", "pyscf", "tblite", "dftd3", "dftd4", "torch")
"""Those that bring threads of their own."""


@lru_cache(maxsize=1)
def _controller(loaded: int) -> ThreadpoolController:  # noqa: ARG001
    return ThreadpoolController()


def _loaded() -> int:
    """How many of the numerical libraries are in this process, so that a new one is noticed."""
    import sys

    return sum(name in sys.modules for name in LIBRARIES)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let OpenMP and BLAS use exactly `threads` inside the block."""
    with _controller(_loaded()).limit(limits=threads):
        yield


@contextmanager
def pyscf_threads(threads: int) -> Iterator[None]:
    """`limited_threads`, PySCF's own setting, which its C code asks for, and fast products."""
    from pyscf import lib

    before = lib.num_threads()
    with limited_threads(threads), fast_products():
        lib.num_threads(threads)
        try:
            yield
        finally:
            lib.num_threads(before)


@contextmanager
def pyscf_and_torch_threads(threads: int) -> Iterator[None]:
    """`pyscf_threads`, and torch's own setting of how many threads one operation takes."""
    import torch

    before = torch.get_num_threads()
    with pyscf_threads(threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
