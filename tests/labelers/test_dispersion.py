"""Dispersion: known energies, forces that are slopes, and nothing added in secret."""

import numpy as np
import pytest

from forgefield.labelers.dispersion import Scheme, attraction, refuse_unparametrised
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration


def pair(distance: float) -> Configuration:
    return Configuration("argon", (18, 18), np.array([(0.0, 0, 0), (0, 0, distance)]))


@pytest.mark.parametrize("scheme", ["D3(BJ)", "D4"])
def test_two_atoms_attract_as_r_to_the_minus_six(scheme: Scheme) -> None:
    near, far = (attraction(pair(d), "PBE", scheme).energy for d in (12.0, 24.0))
    assert near < 0
    assert near / far == pytest.approx(64, rel=0.05)
    assert far * 24.0**6 == pytest.approx(-64 * 27.2114 * 0.529177**6, rel=0.1)


@pytest.mark.parametrize("scheme", ["D3(BJ)", "D4"])
def test_forces_are_the_slope(scheme: Scheme) -> None:
    step = 1e-3
    high, low = (attraction(pair(3.8 + s), "PBE", scheme).energy for s in (step, -step))
    force = attraction(pair(3.8), "PBE", scheme).forces_A3[1, 2]
    assert force == pytest.approx(-(high - low) / (2 * step), rel=1e-4)
    assert force < 0


def test_d4_knows_the_charge_and_the_label_its_dispersion() -> None:
    neutral = attraction(pair(4.0), "PBE", "D4").energy
    ion = Configuration("argon", (18, 18), pair(4.0).positions_A3, charge=2)
    assert attraction(ion, "PBE", "D4").energy != pytest.approx(neutral, rel=1e-3)
    water = find_molecule("water")
    shape = Configuration("water", water.numbers, water.positions_A3)
    bare = labeler_for("PBE/STO-3G, grid 1").label(shape)
    whole = labeler_for("PBE-D4/STO-3G, grid 1").label(shape)
    extra = attraction(shape, "PBE", "D4")
    assert whole.energy - bare.energy == pytest.approx(extra.energy, abs=1e-8)
    np.testing.assert_allclose(whole.forces_A3 - bare.forces_A3, extra.forces_A3, atol=1e-6)
    assert whole.provenance.diagnostics["dispersion_eV"] == pytest.approx(extra.energy)
    assert "dftd4" in whole.provenance.version


@pytest.mark.parametrize("functional", ["SVWN", "wB97X", "B97", "M06-2X"])
def test_functionals_without_parameters_are_refused(functional: str) -> None:
    with pytest.raises(InputError, match=f"no parameters for {functional}"):
        refuse_unparametrised(functional, "D3(BJ)")
