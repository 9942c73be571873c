"""What goes wrong in a label, provoked by real inputs, and the costs foreseen for them."""

import time

import numpy as np
import pytest

from forgefield.labelers.costs import correlated_orbitals
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.self_consistent import converge
from forgefield.storage.errors import InputError, NeedsLargerMachine, NotConverged
from forgefield.storage.records import Configuration


def test_too_little_memory_is_refused_before_anything_is_computed() -> None:
    labeler = labeler_for("CCSD(T)/cc-pVDZ", memory_bytes=2_000_000_000)
    aspirin = find_molecule("aspirin")
    with pytest.raises(NeedsLargerMachine, match="raise the memory"):
        labeler.label(Configuration("aspirin", aspirin.numbers, aspirin.positions_A3))


def test_an_scf_that_fails_all_remedies_is_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgefield.labelers.self_consistent.MAX_CYCLES", 1)
    labeler = labeler_for("CCSD(T)/STO-3G")
    water = find_molecule("water")
    with pytest.raises(NotConverged, match="second-order"):
        labeler.label(Configuration("water", water.numbers, water.positions_A3))


def test_second_order_scf_rescues_what_diis_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five iterations are too few for DIIS; second-order SCF ends at the same energy."""
    from pyscf import gto, scf

    water = gto.M(atom="O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59", basis="6-31g", verbose=0)
    reference = scf.RHF(water)
    assert converge(reference, 1e-10, 1e-6).remedy == 0
    monkeypatch.setattr("forgefield.labelers.self_consistent.MAX_CYCLES", 5)
    stubborn = scf.RHF(water)
    record = converge(stubborn, 1e-10, 1e-6)
    assert record.remedy == 1
    assert record.iterations > 5
    assert stubborn.e_tot == pytest.approx(reference.e_tot, abs=1e-9)
    np.testing.assert_allclose(stubborn.mo_energy, reference.mo_energy, atol=1e-6)


def test_elements_a_basis_lacks_are_refused() -> None:
    with pytest.raises(InputError, match="no functions for I"):
        labeler_for("CCSD(T)/cc-pVDZ").check(find_molecule("CI"))


def test_core_potentials_come_with_def2_and_heavy_elements() -> None:
    hydrogen_iodide = find_molecule("I")
    labeler = labeler_for("PBE/def2-SVP")
    labeler.check(hydrogen_iodide)
    label = labeler.label(Configuration("I", hydrogen_iodide.numbers, hydrogen_iodide.positions_A3))
    assert -9000 < label.energy < -8000  # 26 electrons outside the core, not 54
    with pytest.raises(InputError, match="core potentials"):
        labeler_for("CCSD(T)/def2-SVP").check(hydrogen_iodide)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("MMFF94", 5e-6, 5e-4),
        ("GFN2-xTB", 6e-3, 3e-2),
        ("PBE/def2-SVP", 40, 200),
        ("CCSD(T)/cc-pVDZ", 3e3, 5e4),
        ("HF/def2-SVP", 50, 300),
        ("MP2/cc-pVDZ", 150, 900),
        ("MP2/cc-pVDZ, energy only", 15, 90),
    ],
)
def test_costs_of_aspirin_are_foreseen(method: str, low: float, high: float) -> None:
    labeler = labeler_for(method)
    estimate = labeler.estimate(find_molecule("aspirin"), 1)
    assert low < estimate.core_seconds < high
    if method.startswith("CCSD"):
        assert estimate.memory_bytes > 20e9


def test_frozen_core_changes_the_number() -> None:
    water = find_molecule("water")
    configuration = Configuration("water", water.numbers, water.positions_A3)
    frozen = labeler_for("CCSD(T)/6-31G").label(configuration)
    full = labeler_for("CCSD(T)/6-31G, all electrons").label(configuration)
    assert full.energy < frozen.energy - 1e-3
    assert np.abs(full.forces_A3 - frozen.forces_A3).max() > 1e-4


@pytest.mark.parametrize(("basis", "frozen_core"), [("cc-pVDZ", True), ("6-31G", False)])
@pytest.mark.parametrize("name", ["formaldehyde", "aspirin", "CS", "[Na]Cl", "B", "[AlH3]"])
def test_orbitals_are_counted_as_pyscf_counts_them(
    name: str, basis: str, frozen_core: bool
) -> None:
    from pyscf import gto
    from pyscf.data.elements import ELEMENTS, chemcore

    molecule = find_molecule(name)
    atoms = [(ELEMENTS[z], x) for z, x in zip(molecule.numbers, molecule.positions_A3, strict=True)]
    built = gto.M(atom=atoms, basis=basis, verbose=0)
    core = chemcore(built) if frozen_core else 0
    expected = (built.nelectron // 2 - core, built.nao - built.nelectron // 2)
    assert correlated_orbitals(molecule, basis, frozen_core=frozen_core) == expected


def test_estimates_are_quick() -> None:
    aspirin, started = find_molecule("aspirin"), time.process_time()
    for method in ("MMFF94", "GFN2-xTB", "PBE0/def2-TZVP", "CCSD(T)/cc-pVTZ"):
        labeler_for(method).estimate(aspirin, 4)
    assert time.process_time() - started < 1.0
