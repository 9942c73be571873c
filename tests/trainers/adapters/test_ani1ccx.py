"""The ANI-1ccx adapter, by random weights: the true ones are a download."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flat_molecules import frames_of
from own_environment import python_with
from spring_frames import SHAPE, springs

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.storage.frames import Frames
from forgefield.storage.units import EV_PER_HARTREE
from forgefield.trainers.adapters.ani1ccx import PROGRAM, ANI1ccx, TuningSettings, _padded

PACKAGES = (*PROGRAM.packages, "setuptools")


class Trap:
    """What runs when a pickle of it is loaded."""

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        return SystemExit, ("the pickle ran",)


def mixed() -> Frames:
    """Molecules of five and of three atoms."""
    water = np.array([[[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]])
    small = frames_of(np.array([8, 1, 1]), water, np.zeros(1), np.zeros_like(water))
    return Frames.concatenate([springs(2, 1), small, springs(1, 2)])


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    model = ANI1ccx.of(Path(sys.executable), tmp_path / "weights.pt")
    frames = springs(2, 1)
    shape = np.array([SHAPE])
    sulphur = frames_of(np.array([16, 6, 1, 1, 1]), shape, np.zeros(1), np.zeros_like(shape))
    with pytest.raises(InputError, match="H, C, N and O alone, and the frames hold S"):
        model.predict(sulphur)
    with pytest.raises(InputError, match="ions"):
        model.predict(replace(frames, charge_F=frames.charge_F + 1))
    with pytest.raises(InputError, match="boxes"):
        model.predict(replace(frames, cell_F33=np.tile(9 * np.eye(3), (2, 1, 1))))
    with pytest.raises(InputError, match=r"no weights of ANI-1ccx at .*torchani.models.ANI1ccx"):
        model.predict(frames)
    (tmp_path / "weights.pt").touch()
    with pytest.raises(MissingProgram, match=r"pip install torchani==2.9.0"):
        model.predict(frames)


def test_frames_of_several_sizes_are_padded() -> None:
    frames = mixed()
    found = _padded(frames, labelled=True)
    assert found["numbers_FA"].tolist()[2] == [8, 1, 1, -1, -1]
    there = found["numbers_FA"] >= 0
    np.testing.assert_array_equal(found["positions_FA3"][there], frames.positions_A3)
    np.testing.assert_allclose(found["forces_FA3"][there] * EV_PER_HARTREE, frames.forces_A3)


@pytest.mark.slow
def test_random_weights_give_what_torchani_gives_and_are_tuned(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(PACKAGES, tmp_path_factory)
    frames, weights = mixed(), tmp_path / "weights.pt"
    np.savez(tmp_path / "in.npz", **_padded(frames))
    child = Path(__file__).with_name("ani_child.py")
    command = [python, "-W", "ignore", child, weights, tmp_path / "in.npz", tmp_path / "out.npz"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stderr[-2000:]
    model = ANI1ccx.of(python, weights)
    energies, forces = model.predict(frames)
    with np.load(tmp_path / "out.npz") as theirs:
        np.testing.assert_allclose(energies, theirs["energy_F"] * EV_PER_HARTREE, rtol=1e-12)
    check_slopes(model, frames, forces)
    check_tuning(model, tmp_path)
    weights.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="ANI-1ccx stopped") as refused:
        model.predict(frames)
    assert "the pickle ran" not in str(refused.value)


def check_slopes(model: ANI1ccx, frames: Frames, forces: np.ndarray) -> None:
    """Forces are minus the slopes of the energies, padded frames too."""
    for atom, axis in ((2, 0), (10, 1), (15, 2)):
        ends = Frames.concatenate([frames, frames])
        ends.positions_A3[[atom, len(frames.numbers) + atom], axis] += [1e-4, -1e-4]
        up, down = np.split(model.predict(ends)[0], 2)
        assert -(up - down).sum() / 2e-4 == pytest.approx(forces[atom, axis], abs=1e-5)


def check_tuning(model: ANI1ccx, folder: Path) -> None:
    """A short training on other forces gets nearer to them, energies included."""
    train, validation, unseen = springs(40, 1), springs(8, 2), springs(10, 3)
    settings = TuningSettings(steps=60, batch=8, rate=1e-3, evaluate_every=20)
    tuned = model.tuned(train, validation, folder / "tuned", settings)
    before, after = (
        np.abs(each.predict(unseen)[1] - unseen.forces_A3).mean() for each in (model, tuned)
    )
    assert after < 0.8 * before
    assert np.abs(tuned.predict(unseen)[0] - unseen.energy_F).mean() < 1.0
