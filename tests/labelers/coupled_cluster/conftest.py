"""Small closed-shell fields, and PySCF's own path to the CCSD(T) gradient."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from forgefield.labelers.self_consistent import pyscf_molecule
from forgefield.storage.records import Configuration

_CORNERS = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
_TURNS = 2 * np.pi / 3 * np.arange(3)
_SIXTH = np.pi / 3 * np.arange(6)
_RING = np.stack((np.cos(_SIXTH), np.sin(_SIXTH), np.zeros(6)), axis=1)
GEOMETRIES = {
    "water": ((8, 1, 1), np.array([(0, 0, 0.1), (0.03, 0.78, -0.5), (0.0, -0.74, -0.46)])),
    "ammonia": (
        (7, 1, 1, 1),
        np.array([(0.0, 0.0, 0.4), *((0.95 * np.cos(a), 0.95 * np.sin(a), 0.0) for a in _TURNS)]),
    ),
    "methane": ((6, 1, 1, 1, 1), 0.63 * np.vstack((np.zeros(3), _CORNERS))),
    "benzene": ((6,) * 6 + (1,) * 6, np.vstack((1.39 * _RING, 2.48 * _RING))),
}
Field = Callable[..., Any]


@pytest.fixture(scope="session")
def field() -> Field:
    """A tightly converged RHF object of one of the geometries in a basis."""

    def converged(name: str, basis: str, *, fitted: bool = False) -> Any:
        from pyscf import scf

        numbers, positions_A3 = GEOMETRIES[name]
        molecule = pyscf_molecule(Configuration(name, numbers, positions_A3), basis, 4_000_000_000)
        rhf = scf.RHF(molecule)
        rhf = rhf.density_fit() if fitted else rhf
        rhf.conv_tol, rhf.conv_tol_grad = 1e-13, 1e-9
        rhf.kernel()
        assert rhf.converged
        return rhf

    return converged


@pytest.fixture(scope="session")
def pyscf_path() -> ModuleType:
    """`tests/benchmarks/labels/pyscf_path.py`."""
    path = Path(__file__).parents[2] / "benchmarks" / "labels" / "pyscf_path.py"
    spec = importlib.util.spec_from_file_location("pyscf_path", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
