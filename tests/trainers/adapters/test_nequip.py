"""The nequip adapter: its configuration, and the real program in an environment of its own."""

import sys
from pathlib import Path

import numpy as np
import pytest
from own_environment import python_with
from spring_frames import springs

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.trainers.adapters.environments import Environment
from forgefield.trainers.adapters.nequip import (
    PROGRAM,
    NequIPPackage,
    NequIPPackageSettings,
    configuration,
    train,
)

TINY = NequIPPackageSettings(
    channels=(8, 4),
    layers=2,
    radial_width=8,
    species=4,
    cutoff=3.0,
    batch=4,
    epochs=15,
    rate=0.02,
    ema=0.8,
)


def test_the_configuration_follows_settings_and_frames(tmp_path: Path) -> None:
    frames = springs(5, 1)
    found = configuration(TINY, frames, tmp_path)
    network = found["training_module"]["model"]
    assert network["type_names"] == ["H", "C", "O"]
    assert network["num_features"] == [8, 4]
    assert network["l_max"] == 1
    assert network["avg_num_neighbors"] == pytest.approx(4.0)
    scale = np.sqrt(np.mean(frames.forces_A3**2))
    assert network["per_type_energy_scales"] == pytest.approx(scale)
    shifts = network["per_type_energy_shifts"]
    total = 3 * shifts["H"] + shifts["C"] + shifts["O"]
    assert total == pytest.approx(frames.energy_F.mean())


def test_without_nequip_the_remedy_is_named(tmp_path: Path) -> None:
    frames = springs(3, 1)
    with pytest.raises(MissingProgram, match=r"pip install nequip==0.19.1 torch==2.13.0"):
        train(Path(sys.executable), frames, frames, tmp_path / "work")
    missing = NequIPPackage(Environment(Path(sys.executable), PROGRAM), tmp_path / "no.ckpt")
    with pytest.raises(InputError, match=r"no nequip checkpoint at .*no.ckpt"):
        missing.predict(frames)


@pytest.mark.slow
def test_nequip_trains_and_predicts(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(PROGRAM.packages, tmp_path_factory)
    unseen = springs(10, 3)
    model = train(python, springs(48, 1), springs(8, 2), tmp_path / "work", TINY)
    began = model.model.with_name("last.ckpt").stat().st_mtime
    again = train(python, springs(48, 1), springs(8, 2), tmp_path / "work", TINY)
    assert again.model == model.model
    assert "Continuing training" in (model.model.parents[1] / "nequip.log").read_text()
    assert model.model.with_name("last.ckpt").stat().st_mtime >= began
    energies, forces = model.predict(unseen)
    assert np.abs(forces - unseen.forces_A3).mean() < 0.6 * np.abs(unseen.forces_A3).mean()
    off = energies - unseen.energy_F
    assert abs(off.mean()) < 1.0
    assert off.std() < 0.6 * unseen.energy_F.std()
    wrong = TINY.model_copy(update={"channels": (0,)})
    with pytest.raises(InputError, match="nequip stopped with exit code"):
        train(python, unseen, unseen, tmp_path / "wrong", wrong)
