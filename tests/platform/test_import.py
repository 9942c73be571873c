"""`platform import`: what is true comes in once, what isn't is refused and leaves nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_frames import few_frames
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.platform.data_sets.importing import import_file, parse_cost
from forgefield.platform.foreign_labels.judging import Question, judge
from forgefield.platform.foreign_labels.levels import Stated
from forgefield.platform.foreign_labels.methods import tier_of
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.label_progress import Progress
from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.records import Array, Purpose
from forgefield.storage.units import EV_PER_HARTREE, EV_PER_KCAL_PER_MOL

NUMBERS = np.array([8, 1, 1])
REST = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
WATER_EV = -2079.0
KCAL = Stated(method="PBE/def2-SVP", energy_unit="kcal/mol")


class Nobody:
    """Nobody listens."""

    def say(self, text: str) -> None:
        """A line."""

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """A bar."""

    def end(self, name: str) -> None:
        """Its end."""

    def labels(self, progress: Progress) -> None:
        """Labels."""


def water(count: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Positions, energies (eV) and forces (eV/Å) of springs between the atoms of water."""
    positions = REST + np.random.default_rng(seed).normal(scale=0.04, size=(count, 3, 3))
    steps = positions[:, :, None] - positions[:, None]
    eye = np.eye(3)
    stretch = np.where(
        eye, 0, np.linalg.norm(steps, axis=3) - np.linalg.norm(REST[:, None] - REST, axis=2)
    )
    far = np.linalg.norm(steps, axis=3) + eye
    energies = WATER_EV + 7.0 * (stretch**2).sum(axis=(1, 2))
    return positions, energies, -28.0 * ((stretch / far)[..., None] * steps).sum(axis=2)


def archive(path: Path, count: int = 40, **changes: Any) -> Path:
    positions, energies, forces = water(count)
    arrays: dict[str, Any] = {
        "z": NUMBERS,
        "R": positions,
        "E": energies / EV_PER_KCAL_PER_MOL,
        "F": forces / EV_PER_KCAL_PER_MOL,
    }
    np.savez(path, **arrays | changes)
    return path


def imported(path: Path, folder: Path, stated: Stated = KCAL, **more: Any) -> Any:
    return import_file(Question(path, stated), RunFolder.at(folder), Nobody(), **more)


def test_labels_come_in_at_no_cost_and_once(tmp_path: Path) -> None:
    path, folder = archive(tmp_path / "water.npz"), tmp_path / "set"
    done = imported(path, folder, replace(KCAL, purpose="validation"))
    assert (done.frames, done.imported, done.already_there) == (40, 40, 0)
    frames = load_frames(folder / "frames.zarr")
    positions, energies, forces = water(40)
    assert np.array_equal(frames.positions_A3, positions.reshape(-1, 3))
    np.testing.assert_allclose(frames.energy_F, energies, rtol=1e-15)
    np.testing.assert_allclose(frames.forces_A3, forces.reshape(-1, 3), rtol=1e-12)
    assert set(frames.purpose_F.tolist()) == {int(Purpose.VALIDATION)}
    assert not frames.cost_F.any()
    [program] = frames.provenance.programs
    assert program.name == "imported"
    assert done.sha256.startswith(program.version)
    with Ledger(RunFolder.at(folder).ledger_url) as ledger:
        assert ledger.balance().spent_micro == 0
        assert ledger.verify(folder / "frames.zarr") == []
        [line] = [each for each in ledger.entries() if each.kind is EntryKind.IMPORT]
        assert "water.npz" in line.note
        assert line.amount_micro == 0
    again = imported(path, folder, replace(KCAL, purpose="validation"))
    assert (again.imported, again.already_there) == (0, 40)
    assert len(load_frames(folder / "frames.zarr")) == 40


def test_repeats_inside_a_file_count_and_turned_ones_too(tmp_path: Path) -> None:
    positions, energies, forces = water(40)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    path = archive(
        tmp_path / "water.npz",
        R=np.concatenate([positions, positions[:1], positions[1:2] @ turn + 3.0]),
        E=np.concatenate([energies, energies[:2]]) / EV_PER_KCAL_PER_MOL,
        F=np.concatenate([forces, forces[:1], forces[1:2] @ turn]) / EV_PER_KCAL_PER_MOL,
    )
    with pytest.raises(InputError, match=r"Frame 40 of .* repeats frame 0"):
        imported(path, tmp_path / "set", skip_duplicates=False)
    assert not (tmp_path / "set").exists()
    done = imported(path, tmp_path / "set")
    assert (done.imported, done.duplicates) == (40, 2)


def spoilt(what: str) -> dict[str, Any]:
    positions, energies, forces = water(40)
    energies, forces = energies / EV_PER_KCAL_PER_MOL, forces / EV_PER_KCAL_PER_MOL
    hartree = EV_PER_HARTREE / EV_PER_KCAL_PER_MOL
    return {
        "energies in Hartree": {"E": energies / hartree, "F": forces / hartree},
        "forces in another unit": {"F": forces * EV_PER_KCAL_PER_MOL},
        "gradients": {"F": -forces},
        "two units": {"E": np.where(np.arange(40) == 7, energies / hartree, energies)},
        "another energy of a frame": {
            "R": np.concatenate([positions, positions[:1]]),
            "E": np.append(energies, energies[0] + 0.01),
            "F": np.concatenate([forces, forces[:1]]),
        },
        "another method": {"theory": np.array("CCSD(T)/cc-pVTZ")},
        "another unit in the file": {"e_unit": np.array("eV")},
        "an impossible spin": {"multiplicity": np.array(2)},
        "a broken last frame": {"E": np.append(energies[:-1], np.nan)},
    }[what]


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
    assert import_file(question, RunFolder.at(tmp_path / "set"), Nobody()).imported == 40


def test_two_methods_of_one_geometry_are_two_labels(tmp_path: Path) -> None:
    path, folder = archive(tmp_path / "water.npz"), tmp_path / "set"
    imported(path, folder)
    done = imported(path, folder, replace(KCAL, method="CCSD(T)/cc-pVTZ"))
    assert done.imported == 40
    frames = load_frames(folder / "frames.zarr")
    assert np.array_equal(frames.geometry_F[:40], frames.geometry_F[40:])


@pytest.mark.parametrize("suffix", ["xyz", "db", "h5", "release"])
def test_import_export_import_gives_the_same_numbers(suffix: str, tmp_path: Path) -> None:
    frames = Frames.concatenate([few_frames(7), few_frames(3, boxed=True)])
    write_extended_xyz(frames, tmp_path / "all.xyz")
    runner, folders = CliRunner(), []
    source = tmp_path / "all.xyz"
    for turn in range(2):
        folders.append(tmp_path / f"set{turn}")
        words = ["import", str(source), "--into", str(folders[-1]), "--json"]
        answer = runner.invoke(app, words, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        source = tmp_path / f"out.{suffix}"
        words = ["export", str(folders[-1]), "-o", str(source), "--purpose", "all", "--json"]
        answer = runner.invoke(app, words, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
    first, second = (load_frames(folder / "frames.zarr") for folder in folders)
    assert len(first) == 10
    for name in ("positions_A3", "forces_A3", "energy_F", "cell_F33", "stress_F33", "key_F"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name
    assert np.array_equal(first.positions_A3, frames.positions_A3)
    assert np.array_equal(first.purpose_F, frames.purpose_F)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        imported(archive(tmp_path / "water.npz"), tmp_path / "set")
    assert [each.name for each in (tmp_path / "set").iterdir()] == ["thesis.tex"]


def stored(folder: Path) -> int:
    root = folder / "frames.zarr" / "zarr.json"
    if not root.exists():
        return 0
    return int(json.loads(root.read_text())["attributes"]["forgefield"]["frames"])


def test_killed_anywhere_the_same_command_finishes(tmp_path: Path) -> None:
    path, folder = archive(tmp_path / "water.npz", 3000), tmp_path / "set"
    script = (
        "import sys; from forgefield.platform.data_sets import importing; "
        "importing.LABELS_A_BATCH = 100; from forgefield.platform.cli import app; app(sys.argv[1:])"
    )
    words = ["import", str(path), "--into", str(folder), "--method", "PBE/def2-SVP"]
    command = [sys.executable, "-c", script, *words, "--energy-unit", "kcal/mol", "--json"]
    for enough in (1, 900, 1800):
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        while stored(folder) < enough and driver.poll() is None:
            time.sleep(0.005)
        assert driver.poll() is None, "it was done before it could be killed"
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert stored(folder) < 3000
    last = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert last.returncode == 0, last.stderr
    done = json.loads(last.stdout)
    assert done["imported"] + done["already_there"] == 3000
    assert done["already_there"] >= 1800
    frames = load_frames(folder / "frames.zarr")
    assert len(frames) == 3000
    np.testing.assert_allclose(frames.energy_F, water(3000)[1], rtol=1e-15)
    with Ledger(RunFolder.at(folder).ledger_url) as ledger:
        assert ledger.verify(folder / "frames.zarr") == []


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


class Bars(Nobody):
    """Which bars were drawn."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, int, int, str]] = []

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """A bar."""
        self.drawn.append((name, done, total, detail))


def test_no_bar_is_left_by_what_is_refused(tmp_path: Path) -> None:
    bars, folder = Bars(), RunFolder.at(tmp_path / "set")
    path = archive(tmp_path / "bad.npz", **spoilt("gradients"))
    with pytest.raises(InputError, match="gradients"):
        import_file(Question(path, KCAL), folder, bars)
    path = archive(tmp_path / "twice.npz", **spoilt("another energy of a frame"))
    with pytest.raises(InputError, match="energies of"):
        import_file(Question(path, KCAL), folder, bars)
    assert bars.drawn == []
    import_file(Question(archive(tmp_path / "good.npz"), KCAL), folder, bars)
    assert bars.drawn[-1][1:3] == (40, 40)


def test_help_offers_the_formats_there_are() -> None:
    for command, wanted in (
        ("import", {name for name, each in FORMATS.items() if each.read}),
        ("export", {name for name, each in FORMATS.items() if each.write}),
    ):
        found = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"}).output
        [line] = [line for line in found.splitlines() if "[default: by the name]" in line]
        assert {name for name in FORMATS if re.search(rf"\b{name}\b", line)} == wanted
