"""Programs in other environments: what they are told, what they say, how they fail."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from spring_frames import NUMBERS, springs

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.storage.formats.extended_xyz_reading import read_extended_xyz
from forgefield.storage.frames import Frames
from forgefield.trainers.adapters.environments import Environment, Program
from forgefield.trainers.adapters.exchange import checked, symbols, write_labelled, write_shapes

HERE = Environment(Path(sys.executable), Program("JSON", "json", ("json==1",)))


def test_lines_reach_the_log_and_the_watcher_and_arguments_no_shell(tmp_path: Path) -> None:
    heard: list[str] = []
    code = "import sys; print(sys.argv[1]); print('done', file=sys.stderr)"
    HERE.run(["-c", code, "$(id); a  b"], tmp_path, "said.log", heard.append)
    assert heard == ["$(id); a  b", "done"]
    assert (tmp_path / "said.log").read_text().splitlines() == heard


def test_neither_our_packages_nor_files_that_lie_about_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)")
    (tmp_path / "child.py").write_text("import numpy; print(numpy.array([1]).sum())")
    heard: list[str] = []
    HERE.run([tmp_path / "child.py"], tmp_path, "said.log", heard.append)
    assert heard == ["1"]


def test_a_failure_is_told_with_its_last_lines(tmp_path: Path) -> None:
    code = "for i in range(50): print('line', i)\nraise SystemExit(3)"
    with pytest.raises(InputError, match=r"exit code 3; all it said is in .*said.log") as failure:
        HERE.run(["-c", code], tmp_path, "said.log")
    assert "line 49" in str(failure.value)
    assert "line 20" not in str(failure.value)
    assert "line 20" in (tmp_path / "said.log").read_text()


def test_a_missing_interpreter_or_package_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingProgram, match=r"no Python interpreter.*pip install json==1"):
        Environment(tmp_path / "python", HERE.program).check()
    other = Program("Nothing", "surely_no_such_package", ("nothing==0.1",))
    with pytest.raises(MissingProgram, match=r"surely_no_such_package.*pip install nothing==0.1"):
        Environment(HERE.python, other).check()


def test_the_child_is_gone_when_we_are_interrupted(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as stopped:
        HERE.run(["-c", code], tmp_path, "said.log", interrupt)
    assert time.monotonic() - begun < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(stopped.value)), 0)


def test_geometries_leave_without_their_labels(tmp_path: Path) -> None:
    frames = springs(3, 1)
    write_shapes(frames, tmp_path / "shapes.xyz")
    found = read_extended_xyz(tmp_path / "shapes.xyz")
    np.testing.assert_array_equal(found.positions_A3, frames.positions_A3)
    np.testing.assert_array_equal(found.energy_F, 0.0)
    assert np.isnan(found.forces_A3).all()


def test_labels_leave_as_they_are_or_are_refused(tmp_path: Path) -> None:
    frames = springs(3, 1)
    write_labelled(frames, tmp_path / "train.xyz", "training")
    found = read_extended_xyz(tmp_path / "train.xyz")
    np.testing.assert_array_equal(found.energy_F, frames.energy_F)
    np.testing.assert_array_equal(found.forces_A3, frames.forces_A3)
    with pytest.raises(InputError, match="no training frames"):
        write_labelled(Frames.empty(), tmp_path / "train.xyz", "training")
    assert symbols(frames) == ["H", "C", "O"]


def test_predictions_of_other_frames_or_of_nothing_are_refused() -> None:
    frames = springs(2, 1)
    good = np.zeros(2), np.zeros((2 * len(NUMBERS), 3))
    assert checked(*good, frames, "X")[0].dtype == np.float64
    with pytest.raises(InputError, match="for 2 frames of 10 atoms"):
        checked(good[0][:1], good[1], frames, "X")
    with pytest.raises(InputError, match="aren't finite"):
        checked(good[0] * np.nan, good[1], frames, "X")
