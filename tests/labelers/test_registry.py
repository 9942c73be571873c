"""Names of methods: one spelling each, and errors that name the known forms."""

import pytest

from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier


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
