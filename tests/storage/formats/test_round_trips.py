"""What is written and read again is the same, to the last bit, in every format that is read."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from made_frames import few_frames, ion_frames, ragged_frames

from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.formats.foreign import ForeignFrames, from_frames
from forgefield.storage.formats.watching import quiet
from forgefield.storage.frames import Frames

ANY_FRAMES = ("extxyz", "ase", "hdf5", "release")


def round_trip(frames: Frames, folder: Path, name: str) -> ForeignFrames:
    found = FORMATS[name]
    assert found.write
    assert found.read
    path = folder / f"out{found.suffixes[0]}"
    found.write(frames, path, quiet)
    return found.read(path)


def assert_same(found: ForeignFrames, expected: ForeignFrames) -> None:
    for name in ForeignFrames.__slots__:
        ours, theirs = getattr(expected, name), getattr(found, name)
        if isinstance(ours, np.ndarray):
            assert theirs.dtype == ours.dtype, name
            np.testing.assert_array_equal(theirs, ours, err_msg=name)
        elif name not in {"energy_unit", "length_unit"}:
            assert theirs == ours, name


@pytest.mark.parametrize("name", ANY_FRAMES)
def test_any_frames_come_back_the_same(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=25, deadline=None)
    @given(frames=ragged_frames())
    def check(frames: Frames) -> None:
        found = round_trip(frames, tmp_path_factory.mktemp("trip"), name)
        assert_same(found, from_frames(frames))

    check()


@settings(max_examples=25, deadline=None)
@given(frames=ion_frames())
def test_an_archive_of_an_ion_comes_back_the_same(
    frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = round_trip(frames, tmp_path_factory.mktemp("trip"), "sgdml")
    expected = from_frames(frames)
    for name in ("ptr", "numbers", "positions_A3", "energy_F", "forces_A3", "charge_F"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert np.array_equal(found.multiplicity_F, expected.multiplicity_F)
    assert found.methods == expected.methods
    assert found.molecules == expected.molecules


@pytest.mark.parametrize("name", ["release", "deepmd"])
def test_a_folder_of_other_things_is_never_replaced(name: str, tmp_path: Path) -> None:
    thesis = tmp_path / "data" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.touch()
    writer = FORMATS[name].write
    assert writer
    with pytest.raises(InputError, match="holds other things"):
        writer(few_frames(1), thesis.parent, quiet)
    assert thesis.exists()
    thesis.unlink()
    for count in (1, 3):
        writer(few_frames(count), thesis.parent, quiet)
    with pytest.raises(InputError, match="name"):
        writer(few_frames(1), Path(), quiet)


@pytest.mark.parametrize("name", [*ANY_FRAMES, "sgdml"])
def test_writing_again_replaces_the_old_one(name: str, tmp_path: Path) -> None:
    round_trip(few_frames(2), tmp_path, name)
    found = round_trip(few_frames(5), tmp_path, name)
    assert len(found) == 5
    assert len(list(tmp_path.iterdir())) == 1
