"""Proof of reuse: a stock third-party trainer, in an environment of its own, learns from our file.

Minutes, most of them spent on installing; skipped where the package index can't be reached.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_frames import METHODS, ORIGIN

from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Configuration, Job, Label, Purpose
from forgefield.storage.settled_frames import StoredFrame, from_stored

TRAINER = ("mace-torch==0.3.16", "torch==2.13.0")
SPECIES = (6, 8, 1, 1, 1, 1)
SHAPE = np.array(
    [[-0.7, 0, 0], [0.7, 0, 0], [-1, 1, 0], [-1, -0.5, 0.9], [-1, -0.5, -0.9], [1, 0.9, 0]]
)
SETTINGS = (
    "--name=t --valid_fraction=0.2 --energy_key=energy --forces_key=forces --E0s=average "
    "--model=MACE --hidden_irreps=8x0e --num_channels=8 --max_L=0 --r_max=4.0 --batch_size=8 "
    "--max_num_epochs=5 --device=cpu --default_dtype=float64 --seed=1 --eval_interval=1 --lr=0.02"
)


def springs(positions_A3: Array) -> tuple[float, Array]:
    """Energy and forces of springs between all pairs of atoms, at rest in `SHAPE`."""
    steps = positions_A3[:, None] - positions_A3[None]
    rest = np.linalg.norm(SHAPE[:, None] - SHAPE[None], axis=2)
    far = np.linalg.norm(steps, axis=2) + np.eye(len(SPECIES))
    stretch = np.where(np.eye(len(SPECIES)), 0.0, far - rest)
    pull = (stretch / far)[..., None] * steps
    return float((stretch**2).sum()), -4.0 * pull.sum(axis=1)


def spring_frames(count: int) -> Frames:
    random, stored = np.random.default_rng(0), []
    for seq in range(1, count + 1):
        positions = SHAPE + random.normal(scale=0.1, size=SHAPE.shape)
        energy, forces = springs(positions)
        job = Job(Configuration("methanol", SPECIES, positions), METHODS[0], Purpose.TRAIN)
        stored.append(StoredFrame(seq, job, Label(energy - 3000.0, forces, ORIGIN), 1))
    return from_stored(stored)


def test_springs_pull_downhill() -> None:
    positions = SHAPE + np.random.default_rng(1).normal(scale=0.1, size=SHAPE.shape)
    moved = positions.copy()
    moved[2, 1] += 1e-5
    slope = (springs(moved)[0] - springs(positions)[0]) / 1e-5
    assert slope == pytest.approx(-springs(positions)[1][2, 1], rel=1e-3)


@pytest.mark.slow
def test_mace_trains_on_exported_extended_xyz(tmp_path: Path) -> None:
    write_extended_xyz(spring_frames(160), tmp_path / "frames.xyz")
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)  # noqa: S603
    installed = subprocess.run(  # noqa: S603
        [home / "bin" / "pip", "install", "--quiet", *TRAINER],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"{TRAINER[0]} can't be installed here: {installed.stderr.strip()[-300:]}")
    trained = subprocess.run(  # noqa: S603
        [home / "bin" / "mace_run_train", "--train_file=frames.xyz", *SETTINGS.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr[-2000:]
    said = trained.stdout + trained.stderr
    losses = [float(each) for each in re.findall(r"loss=\s*([0-9.]+)", said)]
    assert len(losses) == 6, said[-2000:]
    assert losses[-1] < losses[0] / 4
    assert (tmp_path / "t.model").exists()
