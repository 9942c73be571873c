"""The whole gradient against PySCF's own path, at exact symmetry, fitted and warm."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from forgefield.labelers.ccsd_t import CcsdTLabeler
from forgefield.labelers.coupled_cluster.engine import Wanted, coupled_cluster
from forgefield.labelers.coupled_cluster.thresholds import Thresholds
from forgefield.storage.records import Configuration
from forgefield.storage.units import EV_PER_KCAL_PER_MOL

TIGHT = Thresholds(1e-13, 1e-9, 1e-10, 1e-10, torch.float64)


@pytest.fixture
def exact_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """PySCF stops its response equations at 1e-7 or so; solve them to the end."""
    from pyscf.grad import ccsd

    def solve(fvind: Any, e: Any, occupation: Any, h1: Any, **_: Any) -> tuple[Any, None]:
        gaps = (e[occupation == 0][:, None] - e[occupation > 0]).ravel()
        unit = np.eye(len(gaps)).reshape(-1, *h1.shape)
        matrix = np.stack([np.asarray(fvind(u)).ravel() for u in unit], axis=1)
        return np.linalg.solve(matrix + np.diag(gaps), -h1.ravel()).reshape(h1.shape), None

    monkeypatch.setattr(ccsd.cphf, "solve", solve)


@pytest.mark.usefixtures("exact_response")
@pytest.mark.parametrize(
    ("name", "basis", "core"),
    [
        ("water", "cc-pvdz", 1),
        ("water", "cc-pvdz", 0),
        ("ammonia", "6-31g", 1),
        ("ammonia", "6-31g", 0),
        ("methane", "6-31g", 1),
        ("benzene", "sto-3g", 6),
    ],
)
def test_energy_and_gradient_are_pyscfs(
    name: str, basis: str, core: int, field: Any, pyscf_path: ModuleType
) -> None:
    """Ammonia, methane and benzene at exact symmetry have degenerate occupied orbitals."""
    rhf = field(name, basis)
    ours = coupled_cluster(rhf, Wanted(core), TIGHT)
    theirs = pyscf_path.pyscf_gradient(rhf, core, 1e-10)
    energy = rhf.e_tot + ours.ccsd_hartree + ours.triples_hartree
    assert energy == pytest.approx(theirs.energy_hartree, abs=1e-10)
    np.testing.assert_allclose(ours.gradient_A3, theirs.gradient_A3, rtol=0, atol=1e-9)
    assert ours.asymmetry < 1e-8


@pytest.mark.usefixtures("exact_response")
def test_without_triples_the_gradient_is_pyscfs_ccsd(field: Any) -> None:
    from pyscf import cc

    rhf = field("water", "6-31g")
    solver = cc.CCSD(rhf, frozen=1)
    solver.conv_tol, solver.conv_tol_normt = 1e-13, 1e-10
    solver.kernel()
    solver.solve_lambda()
    ours = coupled_cluster(rhf, Wanted(1, triples=False), TIGHT)
    assert ours.triples_hartree == 0.0
    np.testing.assert_allclose(
        ours.gradient_A3, solver.nuc_grad_method().kernel(), rtol=0, atol=1e-7
    )


def test_energies_alone_are_those_with_gradients(field: Any) -> None:
    rhf = field("water", "6-31g")
    whole = coupled_cluster(rhf, Wanted(1), TIGHT)
    alone = coupled_cluster(rhf, Wanted(1, gradient=False), TIGHT)
    assert alone.gradient_A3 is None
    assert alone.ccsd_hartree == pytest.approx(whole.ccsd_hartree, abs=1e-11)
    assert alone.triples_hartree == pytest.approx(whole.triples_hartree, abs=1e-11)


def test_fitted_integrals_stay_near_exact_ones(field: Any) -> None:
    exact = coupled_cluster(field("water", "cc-pvdz"), Wanted(1), TIGHT)
    fitted = coupled_cluster(field("water", "cc-pvdz", fitted=True), Wanted(1), TIGHT)
    difference = np.abs(fitted.gradient_A3 - exact.gradient_A3).max()
    assert 1e-7 < difference < 5e-5
    assert np.abs(fitted.gradient_A3.sum(axis=0)).max() < 1e-9


def test_no_default_threshold_leaves_more_than_the_noise(field: Any) -> None:
    from forgefield.labelers.ccsd_t import DEFAULT_NOISE
    from forgefield.labelers.coupled_cluster.thresholds import thresholds_for

    rhf = field("ammonia", "cc-pvdz")
    tight = coupled_cluster(rhf, Wanted(1), TIGHT).gradient_A3
    default = coupled_cluster(rhf, Wanted(1), thresholds_for(DEFAULT_NOISE)).gradient_A3
    kcal_per_hartree_bohr = 627.5095 / 0.529177
    assert np.abs(default - tight).max() * kcal_per_hartree_bohr < DEFAULT_NOISE


def test_labels_do_not_depend_on_the_frames_before() -> None:
    """A path of frames, also turned in space: fewer iterations, the same forces."""
    generator = np.random.default_rng(3)
    start_A3 = np.array([(0, 0, 0.1), (0.03, 0.78, -0.5), (0.0, -0.74, -0.46)])
    direction_A3 = generator.normal(0, 0.006, start_A3.shape)
    turn_33 = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn_33 *= np.sign(np.linalg.det(turn_33))
    warm = CcsdTLabeler("cc-pVDZ")
    labels = []
    for step in range(5):
        turned_A3 = (start_A3 + step * direction_A3) @ (turn_33 if step % 2 else np.eye(3))
        configuration = Configuration("water", (8, 1, 1), turned_A3)
        labels.append(warm.label(configuration))
    cold = CcsdTLabeler("cc-pVDZ").label(configuration)
    noise = 1e-3 * EV_PER_KCAL_PER_MOL
    assert np.abs(labels[-1].forces_A3 - cold.forces_A3).max() < noise
    assert labels[-1].energy == pytest.approx(cold.energy, abs=1e-5)
    few, many = (x.provenance.diagnostics for x in (labels[-1], cold))
    for name in ("cc_iterations", "lambda_iterations"):
        assert few[name] <= many[name] - 3
