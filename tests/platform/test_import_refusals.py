"""`platform import` refuses what contradicts itself, the caller or what is there already."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spring_files import Listener
from water_files import KCAL, archive, imported, spoilt, water

from forgefield.platform.data_sets.importing import import_file, parse_cost
from forgefield.platform.foreign_labels.judging import Question, judge
from forgefield.platform.foreign_labels.methods import tier_of
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.units import EV_PER_HARTREE, EV_PER_KCAL_PER_MOL


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("energies in Hartree", "--energy-unit Hartree"),
        ("forces in another unit", "in different units"),
        ("gradients", "gradients"),
        ("two units", "Frame 7 .* factor of a unit"),
        ("another energy of a frame", "Frame 40 .* energies of"),
        ("another method", "--method says 'PBE/def2-SVP'"),
        ("another unit in the file", "--energy-unit says"),
        ("an impossible spin", "can't have multiplicity 2"),
        ("a broken last frame", "Frame 39 .* energy of nan"),
    ],
)
def test_what_contradicts_is_refused_and_leaves_nothing(
    what: str, said: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "water.npz", **spoilt(what))
    with pytest.raises(InputError, match=said):
        imported(path, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (Stated(energy_unit="kcal/mol"), "doesn't name its method"),
        (Stated(method="PBE/def2-SVP"), "doesn't say its unit of energy"),
        (replace(KCAL, tier="ccsd"), "is a method of tier dft"),
        (replace(KCAL, tier="best"), "'best' is no tier"),
        (replace(KCAL, method="B97M"), "nobody says the tier"),
        (replace(KCAL, energy_unit="foot-pounds"), "no unit of energy"),
        (replace(KCAL, energy_unit="Hartree"), "--energy-unit kcal/mol"),
        (replace(KCAL, charge=40), "electrons"),
        (replace(KCAL, purpose="fun"), "no purpose"),
    ],
)
def test_what_the_caller_says_must_make_sense(stated: Stated, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        imported(archive(tmp_path / "water.npz"), tmp_path / "set", stated)
    assert not (tmp_path / "set").exists()


def test_contradictions_to_what_is_there(tmp_path: Path) -> None:
    """Another energy for a known geometry, and a second file in another unit."""
    folder = tmp_path / "set"
    imported(archive(tmp_path / "water.npz"), folder)
    before = sorted((each, each.stat().st_size) for each in folder.rglob("*.json"))
    _, energies, forces = water(40)
    moved = archive(tmp_path / "moved.npz", E=(energies + 1e-4) / EV_PER_KCAL_PER_MOL)
    with pytest.raises(InputError, match="a frame that is there already"):
        imported(moved, folder)
    other = water(40, seed=1)[0]
    small = archive(tmp_path / "small.npz", R=other, E=energies / EV_PER_HARTREE, F=forces * 0)
    stated = Stated(method="PBE/def2-TZVP", energy_unit="eV")
    with pytest.raises(InputError, match="--energy-unit Hartree"):
        imported(small, folder, stated)
    assert sorted((each, each.stat().st_size) for each in folder.rglob("*.json")) == before
    assert len(load_frames(folder / "frames.zarr")) == 40


def test_what_is_trusted_is_not_doubted(tmp_path: Path) -> None:
    path = archive(tmp_path / "water.npz", **spoilt("energies in Hartree"))
    question = Question(path, KCAL, trust=True)
    assert import_file(question, RunFolder.at(tmp_path / "set"), Listener()).imported == 40


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        imported(archive(tmp_path / "water.npz"), tmp_path / "set")
    assert [each.name for each in (tmp_path / "set").iterdir()] == ["thesis.tex"]


def test_costs_and_tiers_are_understood() -> None:
    assert [parse_cost(text) for text in ("12.5s", "2min", "0.5 h", "3")] == [12.5, 120, 1800, 3]
    with pytest.raises(InputError, match="cost of a label"):
        parse_cost("cheap")
    names = ("DF-CCSD(T)/cc-pVDZ", "GFN2-xTB", "MMFF94", "MP2/cc-pVDZ", "who knows")
    assert [tier_of(name) for name in names] == ["ccsd", "xtb", "empirical", "dft", ""]


@pytest.mark.parametrize(
    ("in_file", "said"),
    [
        ("B3LYP-D3BJ/def2-SVP", "B3LYP/def2-SVP"),
        ("B3LYP D3BJ/def2-SVP", "B3LYP/def2-SVP"),
        ("PBE/def2-SVP/SMD water", "PBE/def2-SVP"),
        ("CCSD(T)/cc-pVTZ", "CCSD(T)/cc-pVTZ, frozen core"),
        ("MP2/CCSD(T)/cc-pVTZ", "CCSD(T)/cc-pVTZ"),
        ("PBE/def2-SVP", "PBE/def2-TZVP"),
        ("PBE/def2-SVP//PBE/def2-TZVP", "PBE/def2-TZVP"),
        ("PBE/def2-SVP", "def2-SVP"),
    ],
)
def test_another_method_by_a_word_is_another_method(
    in_file: str, said: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "water.npz", theory=np.array(in_file))
    for theory, method in ((in_file, said), (said, in_file)):
        path = archive(tmp_path / "water.npz", theory=np.array(theory))
        with pytest.raises(InputError, match="must not pass for one"):
            judge(Question(path, replace(KCAL, method=method)))


@pytest.mark.parametrize(
    ("in_file", "said", "name"),
    [
        ("PBE", "PBE/def2-SVP", "PBE/def2-SVP"),
        ("B3LYP D3BJ/6-31G*", "B3LYP D3BJ", "B3LYP D3BJ/6-31G*"),
        ("Psi4: CCSD(T), cc-pVTZ", "CCSD(T)/cc-pVTZ", "CCSD(T)/cc-pVTZ"),
        ("PBE/aug-cc-pVDZ", "pbe/aug-cc-pvdz", "pbe/aug-cc-pvdz"),
    ],
)
def test_an_absent_basis_or_program_is_filled_in(
    in_file: str, said: str, name: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "water.npz", theory=np.array(in_file))
    found = judge(Question(path, replace(KCAL, method=said)))
    assert {method.name for method in found.methods} == {name}
