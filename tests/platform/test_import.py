"""`platform import`: what is true comes in once, at no cost, whatever kills it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_frames import few_frames
from spring_files import Listener
from typer.testing import CliRunner
from water_files import KCAL, archive, imported, spoilt, water

from forgefield.platform.cli import app
from forgefield.platform.data_sets.importing import import_file
from forgefield.platform.foreign_labels.judging import Question
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.records import Purpose
from forgefield.storage.units import EV_PER_KCAL_PER_MOL


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


class Bars(Listener):
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
