"""SciPy's products in the place of PySCF's: the same numbers, in the same place."""

import numpy as np
import pytest
from numpy.random import default_rng
from pyscf import lib as pyscf_lib

from forgefield.labelers.products import fast_products, product


def _orders(matrix: np.ndarray) -> list[np.ndarray]:
    """The same matrix in C order, in Fortran order, and as every other column of a wider one."""
    wide = np.repeat(matrix, 2, axis=1)
    return [np.ascontiguousarray(matrix), np.asfortranarray(matrix), wide[:, ::2]]


@pytest.mark.parametrize(("alpha", "beta"), [(1, 0), (-0.5, 0), (1, 1), (2, -0.3)])
def test_any_order_of_the_factors(alpha: float, beta: float) -> None:
    rng = default_rng(0)
    a, b, c = rng.normal(size=(5, 7)), rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
    expected = alpha * a @ b + beta * c
    for left in _orders(a):
        for right in _orders(b):
            place = c.copy()
            assert product(left, right, alpha, place, beta) is place
            assert place == pytest.approx(expected, abs=1e-13)
            assert pyscf_lib.ddot(left, right, alpha, c.copy(), beta) == pytest.approx(place)


def test_what_lies_in_the_place_is_not_read_without_beta() -> None:
    place = np.full((2, 2), np.nan)
    product(np.eye(2), np.eye(2), 1, place, 0)
    assert np.array_equal(place, np.eye(2))
    assert np.array_equal(product(np.eye(2), np.eye(2)), np.eye(2))


@pytest.mark.parametrize(("rows", "inner", "columns"), [(0, 3, 2), (2, 0, 3), (2, 3, 0)])
def test_empty_factors(rows: int, inner: int, columns: int) -> None:
    found = product(np.ones((rows, inner)), np.ones((inner, columns)))
    assert np.array_equal(found, np.zeros((rows, columns)))
    place = np.ones((rows, columns))
    product(np.ones((rows, inner)), np.ones((inner, columns)), 1, place, 2)
    assert np.array_equal(place, np.full((rows, columns), 2.0))


@pytest.mark.parametrize("place", [np.zeros((2, 3)), np.asfortranarray(np.zeros((2, 2)))])
def test_a_place_that_does_not_fit(place: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        product(np.eye(2), np.eye(2), 1, place)


def test_pyscf_uses_them_inside_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from forgefield.labelers import products

    calls = []
    monkeypatch.setattr(products, "product", lambda *given: calls.append(given) or product(*given))
    with fast_products():
        assert np.array_equal(pyscf_lib.dot(np.eye(2), np.eye(2)), np.eye(2))
    pyscf_lib.dot(np.eye(2), np.eye(2))
    assert len(calls) == 1


def test_an_error_inside_the_block_puts_them_back() -> None:
    before = pyscf_lib.numpy_helper.ddot
    with pytest.raises(ZeroDivisionError), fast_products():
        raise ZeroDivisionError
    assert pyscf_lib.numpy_helper.ddot is before
