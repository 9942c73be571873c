"""Large honest files are no bombs, however far single columns of them shrink."""

from pathlib import Path

import numpy as np
import pytest
from made_frames import few_frames

from forgefield.storage.errors import InputError
from forgefield.storage.formats import safe_files
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.formats.sgdml import read_sgdml
from forgefield.storage.formats.watching import quiet
from forgefield.storage.frames import Frames
from forgefield.storage.records import Configuration, Job, Label, Method, Provenance, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored

COUNT, NUMBERS = 12_000, (6,) * 9 + (1,) * 8 + (8,) * 4


@pytest.fixture(scope="module")
def energies_only() -> Frames:
    """12,000 frames of 21 atoms: 252,000 atoms, all forces absent, all words constant."""
    method, origin = Method(Tier.CCSD, "CCSD(T)/cc-pVDZ"), Provenance("p", "1", "h", 1, 1.0, 1.0)
    random = np.random.default_rng(0)
    return from_stored(
        [
            StoredFrame(
                seq,
                Job(
                    Configuration("aspirin", NUMBERS, random.normal(size=(21, 3)), 0, 1),
                    method,
                    Purpose.TRAIN,
                ),
                Label(-17_000.0, None, origin),
                1,
            )
            for seq in range(COUNT)
        ]
    )


@pytest.mark.parametrize("name", ["hdf5", "release", "sgdml"])
def test_energies_without_forces_come_back(
    name: str, energies_only: Frames, tmp_path: Path
) -> None:
    path = tmp_path / f"out{FORMATS[name].suffixes[0]}"
    write, read = FORMATS[name].write, FORMATS[name].read
    assert write
    assert read
    write(energies_only, path, quiet)
    found = read(path)
    assert len(found) == COUNT
    assert np.isnan(found.forces_A3).all()
    assert np.array_equal(found.positions_A3, energies_only.positions_A3)
    assert set(found.charge_F.tolist()) == {0}


def test_a_constant_column_beside_ones_that_are_not(tmp_path: Path) -> None:
    """Atomic numbers of each frame, as archives of differing sizes have them."""
    numbers = np.broadcast_to(np.array(NUMBERS), (60_000, 21))
    positions = np.random.default_rng(0).normal(size=(*numbers.shape, 3))
    path = tmp_path / "wide.npz"
    np.savez_compressed(path, Z=numbers, R=positions, E=np.full(60_000, -17_000.0))
    assert len(read_sgdml(path)) == 60_000


@pytest.mark.parametrize("name", ["sgdml", "release"])
def test_nothing_claims_more_than_the_machine_has(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"out{FORMATS[name].suffixes[0]}"
    write, read = FORMATS[name].write, FORMATS[name].read
    assert write
    assert read
    write(few_frames(6), path, quiet)
    monkeypatch.setattr(safe_files, "machine_bytes", lambda: 100)
    with pytest.raises(InputError, match="this machine has 100"):
        read(path)
