"""PySCF's matrix products, computed by SciPy's BLAS.

PySCF's wheels carry OpenBLAS 0.3.3 of 2018, which on a processor of today takes up to four times
as long for the tall, narrow matrices of a grid. SciPy comes with a BLAS of its own age.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from forgefield.storage.records import Array


@contextmanager
def fast_products() -> Iterator[None]:
    """Inside the block `pyscf.lib.dot` of real matrices is `product`, for the whole process."""
    from pyscf.lib import numpy_helper

    before = numpy_helper.ddot
    numpy_helper.ddot = product
    try:
        yield
    finally:
        numpy_helper.ddot = before


def product(a: Array, b: Array, alpha: float = 1, c: Array | None = None, beta: float = 0) -> Array:
    """Return alpha · a b + beta · c of float64 matrices, in the place of `c` if it is given.

    Signature and meaning are those of `pyscf.lib.ddot`; `c` is in C order.
    """
    from scipy.linalg.blas import dgemm

    shape = (a.shape[0], b.shape[1])
    if c is None:
        c, beta = np.zeros(shape), 0
    if c.shape != shape or not c.flags.c_contiguous:
        raise ValueError(f"a product of shape {shape} has no place in one of shape {c.shape}")
    if a.size == 0 or b.size == 0:
        c[...] = beta * c if beta else 0
        return c
    (left, left_turned), (right, right_turned) = _in_fortran_order(b), _in_fortran_order(a)
    dgemm(alpha, left, right, beta, c.T, left_turned, right_turned, overwrite_c=1)
    return c


def _in_fortran_order(matrix: Array) -> tuple[Array, bool]:
    """The transpose in Fortran order, as BLAS reads it, or `matrix`, for BLAS to turn."""
    if matrix.flags.f_contiguous and not matrix.flags.c_contiguous:
        return matrix, True
    return matrix.T, False
