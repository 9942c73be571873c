"""Names of methods: one spelling each, and errors that name the known forms."""

import numpy as np
import pytest

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import BadConfiguration, InputError
from forgefield.storage.records import Configuration, Tier


@pytest.mark.parametrize(
    ("text", "name", "tier"),
    [
        ("mmff94", "MMFF94", Tier.EMPIRICAL),
        ("gfn1-xtb", "GFN1-xTB", Tier.XTB),
        ("GFN2xTB", "GFN2-xTB", Tier.XTB),
        ("pbe/DEF2-svp", "PBE/def2-SVP", Tier.DFT),
        ("PBE0 / def2-TZVP".replace(" ", ""), "PBE0/def2-TZVP", Tier.DFT),
        ("pbe/def2-svp, grid 4", "PBE/def2-SVP", Tier.DFT),
        ("pbe/def2-svp, grid 3", "PBE/def2-SVP, grid 3", Tier.DFT),
        ("pbe-d3bj/def2-svp", "PBE-D3(BJ)/def2-SVP", Tier.DFT),
        ("B3LYP-d3(bj)/def2-svp,grid 5", "B3LYP-D3(BJ)/def2-SVP, grid 5", Tier.DFT),
        ("cam-b3lyp-d4/def2-SVP", "CAM-B3LYP-D4/def2-SVP", Tier.DFT),
        ("hf/CC-PVDZ", "HF/cc-pVDZ", Tier.DFT),
        ("mp2/cc-pvdz", "MP2/cc-pVDZ, frozen core", Tier.DFT),
        ("MP2/cc-pVDZ,all electrons", "MP2/cc-pVDZ, all electrons", Tier.DFT),
        ("gfn2-xtb,ENERGY ONLY", "GFN2-xTB, energy only", Tier.XTB),
        ("pbe/def2-svp, grid 3, energy only", "PBE/def2-SVP, grid 3, energy only", Tier.DFT),
        ("ccsd(t)/cc-pvdz, energy only", "CCSD(T)/cc-pVDZ, frozen core, energy only", Tier.CCSD),
        ("CCSD(T)/cc-pvtz", "CCSD(T)/cc-pVTZ, frozen core", Tier.CCSD),
        ("ccsd(t)/aug-cc-pvdz, All Electrons", "CCSD(T)/aug-cc-pVDZ, all electrons", Tier.CCSD),
    ],
)
def test_names_have_one_spelling(text: str, name: str, tier: Tier) -> None:
    method = labeler_for(text).method
    assert (method.name, method.tier) == (name, tier)
    assert labeler_for(name).method == method


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "known forms"),
        ("CCSD(T)", "known forms"),
        ("CCSD(T)/cc-pVDZ, frozen", "known forms"),
        ("PBE/nonsense", "no basis set 'nonsense'"),
        ("nonsense/def2-SVP", "no functional"),
        ("B3LYP-D3/def2-SVP", "dispersion"),
        ("wB97X-D/def2-SVP", "dispersion"),
        ("wB97M-V/def2-SVP", "non-local"),
        ("B2PLYP/def2-SVP", "double hybrids"),
        ("MP3/cc-pVDZ", "not offered"),
        ("HF-D4/cc-pVDZ", "not offered"),
        ("SVWN-D3(BJ)/def2-SVP", r"D3\(BJ\) has no parameters for SVWN"),
        ("SVWN-D4/def2-SVP", "D4 has no parameters for SVWN"),
        ("wB97X-D4/def2-SVP", "D4 has no parameters for wB97X"),
        ("PBE-D5/def2-SVP", "no functional"),
        ("energy only", "known forms"),
        ("PBE/def2-SVP, energy only, grid 3", "known forms|no basis"),
        ("PBE/../../etc", "known forms"),
        ("x" * 10_000, "known forms"),
    ],
)
def test_unknown_methods_are_input_errors(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        labeler_for(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "basis", ["LANL2DZ", "def2-SVPJKFIT", "cc-pVDZ-RI", "stuttgart", "cc-pVDZ-PP"]
)
def test_bases_for_potentials_or_fitting_are_refused(basis: str) -> None:
    with pytest.raises(InputError, match="basis set"):
        labeler_for(f"HF/{basis}")


def test_fitted_methods_need_a_set_to_fit_with() -> None:
    labeler_for("DF-CCSD(T)/cc-pVDZ").check(find_molecule("ethanol"))
    with pytest.raises(InputError, match="leave out DF-"):
        labeler_for("DF-CCSD(T)/cc-pVDZ").check(find_molecule("[LiH]"))


def test_open_shells_with_nothing_to_correlate_are_refused() -> None:
    with pytest.raises(InputError, match="larger basis"):
        labeler_for("CCSD(T)/STO-3G, energy only").check(find_molecule("[H]"))


def test_a_core_that_mixes_with_the_valence_is_not_frozen() -> None:
    """Zinc's 3s and phosphorus' 2p are at one energy: freezing the lowest ten cuts a shell."""
    positions_A3 = np.array(
        [(0, 0, 0), (0, 0, 2.3), (1.2, 0, 2.9), (-0.6, 1.04, 2.9), (-0.6, -1.04, 2.9)]
    )
    shape = Configuration("complex", (30, 15, 1, 1, 1), positions_A3, 2)
    with pytest.raises(BadConfiguration, match="all electrons"):
        labeler_for("CCSD(T)/STO-3G").label(shape)
