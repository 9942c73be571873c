"""Files of labels say all that `platform import` asks for, and nothing that isn't theirs."""

from pathlib import Path

import ase.io
import numpy as np
import pytest

from forgefield.platform.labelling_files.extended_xyz import LabelledFrame, write_labels
from forgefield.storage.formats.extended_xyz_reading import read_extended_xyz
from forgefield.storage.records import Configuration, Job, Label, Method, Provenance, Purpose, Tier

ORIGIN = Provenance("xtb", "6.7", "here", 1, 1.0, 1.0)
PULL = np.array([[1.0, 0.25, 0.0], [0.25, 2.0, 0.5], [0.0, 0.5, 3.0]]) * 1e-3


def labelled(number: int, cell: np.ndarray | None, **info: object) -> LabelledFrame:
    shape = Configuration("hydroxide", (8, 1), np.array([[0, 0, 0], [0.1, 0.2, 0.97]]), -1, 1, cell)
    forces = np.array([[0.1, 0.2, 1 / 3], [-0.1, -0.2, -1 / 3]])
    label = Label(-2.5, forces, ORIGIN, None if cell is None else PULL)
    method = Method(Tier.XTB, "GFN2-xTB")
    return LabelledFrame(number, Job(shape, method, Purpose.TRAIN), label, info)


@pytest.mark.parametrize(
    "cell", [None, np.diag([9.0, 8.0, 7.0]), np.array([[9.0, 0, 0], [1.0, 8.0, 0], [0, 0, 0]])]
)
def test_units_and_stress_are_stated_and_come_back(tmp_path: Path, cell: np.ndarray | None) -> None:
    out = tmp_path / "out.xyz"
    write_labels([labelled(0, cell)], out)
    found = read_extended_xyz(out)
    assert (found.energy_unit, found.length_unit) == ("eV", "angstrom")
    assert found.energy_F.tolist() == [-2.5]
    assert (found.charge_F.tolist(), found.multiplicity_F.tolist()) == ([-1], [1])
    assert (found.methods, found.tiers) == (("GFN2-xTB",), ("xtb",))
    if cell is None:
        assert np.isnan(found.stress_F33).all()
        return
    np.testing.assert_array_equal(found.stress_F33[0], PULL)
    np.testing.assert_array_equal(found.cell_F33[0], cell)
    atoms = ase.io.read(out)
    np.testing.assert_array_equal(atoms.get_stress(voigt=False), PULL)
    assert atoms.pbc.tolist() == cell.any(axis=1).tolist()


def test_what_the_input_said_of_another_label_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out.xyz"
    stale = {"REF_energy": -77.0, "units": "energy kcal/mol", "tier": "dft", "tag": "kept"}
    write_labels([labelled(0, None, **stale, cost_core_seconds=99.0)], out)
    comment = out.read_text().splitlines()[1]
    assert "tag=kept" in comment
    for word in ("REF_energy", "kcal", "dft", "cost_core_seconds"):
        assert word not in comment
