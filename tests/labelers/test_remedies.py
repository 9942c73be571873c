"""Every class of error of a label, provoked by inputs that are what they seem."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgefield.labelers import self_consistent
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.platform.cli import main
from forgefield.platform.planning.quoting import estimated_costs
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.errors import (
    BadConfiguration,
    InputError,
    NeedsLargerMachine,
    NotConverged,
)
from forgefield.storage.records import Configuration, Label, Molecule

N2, ETHANOL = find_molecule("N#N"), find_molecule("ethanol")
SMALL = "CCSD(T)/STO-3G, frozen core"
LARGE = "CCSD(T)/cc-pVDZ, frozen core"
GIGABYTE = 10**9


def pair(numbers: tuple[int, int], distance: float) -> Configuration:
    """Two atoms, Å apart."""
    return Configuration("pair", numbers, np.array([[0, 0, 0], [0, 0, distance]]))


def label(method: str, configuration: Configuration, memory_bytes: int = GIGABYTE) -> Label:
    return labeler_for(method, memory_bytes=memory_bytes).label(configuration)


@pytest.mark.parametrize("method", ["GFN2-xTB", "PBE/STO-3G, grid 1", SMALL])
def test_overlapping_atoms_are_no_configuration(method: str) -> None:
    with pytest.raises(BadConfiguration, match=r"0.300 Å apart.*drop this configuration"):
        label(method, pair((7, 7), 0.3))


def test_second_order_scf_rescues_an_ionic_molecule_pulled_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DIIS takes 11 iterations here on any machine; cut off after 6, second order ends the same.

    Further apart DIIS wanders, and the last bit of an integral decides whether it arrives.
    """
    apart = pair((3, 9), 8.0)
    plain = label("HF/6-31G", apart)
    monkeypatch.setattr(self_consistent, "MAX_CYCLES", 6)
    rescued = label("HF/6-31G", apart)
    assert plain.provenance.diagnostics["scf_remedy"] == 0
    said = rescued.provenance.diagnostics
    assert said["scf_remedy"] == 1
    assert said["scf_iterations"] > 6
    assert rescued.energy == pytest.approx(plain.energy, abs=1e-6)
    np.testing.assert_allclose(rescued.forces_A3, plain.forces_A3, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "numbers", "distance", "said"),
    [
        ("GFN2-xTB", (3, 9), 5.0, "250 cycles"),
        ("PBE/def2-SVP, grid 1", (9, 9), 4.2, "excited state"),
        (
            SMALL,
            (7, 7),
            2.2,
            "CCSD did not converge in 400 iterations.*damped",
        ),
        ("CCSD(T)/6-31G", (3, 9), 5.2, "Λ equations did not converge"),
    ],
)
def test_broken_bonds_that_nothing_rescues_are_not_converged(
    method: str, numbers: tuple[int, int], distance: float, said: str
) -> None:
    """At 4.2 Å second-order SCF of F2 does converge, 16 eV above the molecule's energy at 2.2 Å.

    LiF's Λ equations fail from 5.1 to 5.3 Å whatever multiplies matrices; at 5.0 that decides.
    """
    with pytest.raises(NotConverged, match=f"{said}.*drop this configuration"):
        label(method, pair(numbers, distance))


def test_all_remedies_are_tried_before_a_field_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one cycle for each of them, which is too few on any machine."""
    monkeypatch.setattr(self_consistent, "MAX_CYCLES", 1)
    with pytest.raises(NotConverged, match=r"second-order and level-shifted.*drop this") as said:
        label("PBE/def2-SVP, grid 1", pair((9, 9), 2.2))
    iterations = re.search(r"in (\d+) iterations", str(said.value))
    assert iterations is not None
    assert int(iterations[1]) >= 4, "of DIIS, of second order, shifted and without shift"


def test_a_label_too_large_for_its_memory_is_not_begun() -> None:
    labeler = labeler_for(LARGE, memory_bytes=6 * 10**8)
    need_gb = labeler.estimate(ETHANOL).memory_bytes / 1e9
    shape = Configuration("ethanol", ETHANOL.numbers, ETHANOL.positions_A3)
    spent_s = []
    for _ in range(2):
        started = time.process_time()
        with pytest.raises(NeedsLargerMachine, match=rf"needs about {need_gb:.1f} GB.*have 0.6 GB"):
            labeler.label(shape)
        spent_s.append(time.process_time() - started)
    assert spent_s[1] < 0.2, "the first may load libraries"


def test_memory_for_one_label_is_enough_for_the_next_in_the_same_process() -> None:
    """The process has grown by then; what it holds is not the label's."""
    need_bytes = labeler_for(SMALL).estimate(N2).memory_bytes
    labeler = labeler_for(SMALL, memory_bytes=need_bytes + 1000)
    for distance in (1.1, 1.15, 1.2):
        assert labeler.label(pair((7, 7), distance)).energy < -2900


@pytest.mark.parametrize(
    ("smiles", "recipe", "said"),
    [
        ("O", 'ccsd = "CCSD(T)/cc-pVXZ"', "no basis set 'cc-pVXZ'; known are def2-SVP"),
        ("[U]", "", "MMFF94"),
        ("CI", 'empirical = "UFF"', "cc-pVDZ has no functions for I"),
    ],
)
def test_what_no_method_knows_is_refused_before_anything_is_spent(
    smiles: str, recipe: str, said: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "recipe.toml").write_text(f"[methods]\n{recipe}\n")
    monkeypatch.chdir(tmp_path)
    words = ["run", "-m", smiles, "-b", "20ccsd", "--recipe", "recipe.toml"]
    monkeypatch.setattr("sys.argv", ["platform", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob("ledger.sqlite"))


def test_an_element_that_no_tier_knows_is_named() -> None:
    oganesson = Molecule("oganesson", (118,), np.zeros((1, 3)))
    for name in ("MMFF94", "GFN2-xTB", "PBE/def2-SVP", LARGE):
        with pytest.raises(InputError, match=r"118|Og|oganesson"):
            labeler_for(name).prepare(oganesson)
    with pytest.raises(InputError):
        estimated_costs(oganesson, Recipe())
