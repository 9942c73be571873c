"""What a report cites for a method."""

import pytest

from forgefield.platform.reporting.citations import CITATIONS, References, keys_of_method


@pytest.mark.parametrize(
    ("method", "keys"),
    [
        ("PBE/def2-SVP", ("PBE", "def2")),
        ("PBE0-D3(BJ)/def2-TZVP, grid 5", ("PBE0", "D3", "D3(BJ)", "def2")),
        ("B3LYP-D4/cc-pVDZ, energy only", ("B3LYP", "D4", "cc-pV")),
        ("DF-CCSD(T)/cc-pVDZ, frozen core", ("CCSD(T)", "cc-pV")),
        ("CCSD/cc-pVTZ, all electrons", ("CCSD", "cc-pV")),
        ("MP2/6-31G, frozen core", ("MP2",)),
        ("GFN2-xTB, energy only", ("GFN2-xTB",)),
        ("SPC/Fw", ("SPC/Fw",)),
        ("HF/STO-3G", ()),
    ],
)
def test_keys_of_a_method(method: str, keys: tuple[str, ...]) -> None:
    assert keys_of_method(method) == keys


def test_numbers_follow_the_first_mention() -> None:
    cite = References()
    assert cite("D4", "PBE") == " [1,2]"
    assert cite("PBE") == " [2]"
    assert cite("HF") == ""
    assert cite.entries == [CITATIONS["D4"], CITATIONS["PBE"]]
