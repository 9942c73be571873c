"""Extended XYZ reads back in ASE with the same numbers."""

import time
from pathlib import Path

import ase.io
import numpy as np
import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.records import Configuration, Job, Label, Method, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import CCSD, XTB, labelled, make_job


def frame(seq: int, job: Job, *, energy_only: bool = False) -> StoredFrame:
    result = labelled(job, energy_only=energy_only).result
    assert isinstance(result, Label)
    return StoredFrame(seq, job, result, 1_500_000 + seq)


def test_ase_reads_the_same_numbers(tmp_path: Path) -> None:
    odd = Method(Tier.DFT, 'PBE0 "tight" \\ D4')
    ion = Configuration("hydroxide", (8, 1), np.array([[0, 0, 1 / 3], [0, 0, 1e-20]]), -1, 1)
    stored = [
        frame(1, make_job(0, CCSD, Purpose.HOLDOUT)),
        frame(2, make_job(1, XTB), energy_only=True),
        frame(3, Job(ion, odd, Purpose.TRAIN)),
    ]
    write_extended_xyz(from_stored(stored), tmp_path / "out.xyz")
    images = ase.io.read(tmp_path / "out.xyz", ":")
    assert [tuple(image.numbers) for image in images] == [
        each.job.configuration.numbers for each in stored
    ]
    for image, each in zip(images, stored, strict=True):
        assert np.array_equal(image.positions, each.job.configuration.positions_A3)
        assert image.get_potential_energy() == each.label.energy
        assert image.info["method"] == each.job.method.name
        assert image.info["tier"] == each.job.method.tier
        assert image.info["purpose"] == each.job.purpose.name.lower()
        assert image.info["cost_core_seconds"] == each.cost_micro / 1e6
        assert image.info["charge"] == each.job.configuration.charge
        assert image.info["seq"] == each.seq
        assert not image.pbc.any()
        if each.label.forces_A3 is not None:
            assert np.array_equal(image.get_forces(), each.label.forces_A3)
    assert "forces" not in images[1].calc.results


def test_ten_thousand_frames_take_seconds(tmp_path: Path) -> None:
    frames = from_stored([frame(seq, make_job(seq)) for seq in range(100)])
    many = frames.select(np.tile(np.arange(100), 100))
    started = time.perf_counter()
    write_extended_xyz(many, tmp_path / "out.xyz")
    assert time.perf_counter() - started < 10


def test_a_failed_export_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = from_stored([frame(1, make_job(0))])
    path = tmp_path / "out.xyz"
    write_extended_xyz(frames, path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space"):
        write_extended_xyz(frames.select(np.array([0, 0])), path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["out.xyz"]
