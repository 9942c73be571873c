"""Frames for training tests: a molecule with an analytic potential of bonds and repulsion.

The "cheap" methods are the same potential with other constants, so bias is known and real.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored

NUMBERS = (6, 8, 1, 1)
SHAPE = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2], [0.94, 0.0, -0.54], [-0.94, 0.0, -0.54]])
MOLECULES = {
    "springs": (NUMBERS, SHAPE),
    "bent": ((8, 1, 1), np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])),
}
NAMES = {tier: f"springs {tier}" for tier in Tier}
STIFFNESS = {Tier.CCSD: 8.0, Tier.DFT: 7.6, Tier.XTB: 6.6, Tier.EMPIRICAL: 5.0}
MakeFrames = Callable[..., list[StoredFrame]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def springs(positions: Array, stiffness: float, shape: Array = SHAPE) -> tuple[float, Array]:
    """Energy and forces of anharmonic springs between all pairs; every tier has the minimum."""
    first, second = np.triu_indices(len(positions), 1)
    gap = positions[first] - positions[second]
    length = np.linalg.norm(gap, axis=1)
    rest = np.linalg.norm(shape[first] - shape[second], axis=1)
    stretch = length - rest
    energy = float((stiffness * (stretch**2 - 0.6 * stretch**3)).sum())
    slope = stiffness * (2 * stretch - 1.8 * stretch**2)
    pull = slope[:, None] * gap / length[:, None]
    forces = np.zeros_like(positions)
    np.add.at(forces, first, -pull)
    np.add.at(forces, second, pull)
    return energy, forces


@pytest.fixture(scope="session", name="springs")
def springs_fixture() -> Callable[..., tuple[float, Array]]:
    """The potential: positions (A, 3), stiffness, shape at rest."""
    return springs


@pytest.fixture(scope="session", name="rest_A3")
def rest_fixture() -> Array:
    """The molecule at rest, (A, 3) Å."""
    return SHAPE.copy()


@pytest.fixture(scope="session", name="make_frames")
def make_frames_fixture() -> MakeFrames:
    """The function that labels distortions, see there."""
    return make_frames


def make_frames(
    tier: Tier,
    count: int,
    seed: int,
    purpose: Purpose = Purpose.TRAIN,
    start: int = 1,
    molecule: str = "springs",
) -> list[StoredFrame]:
    """Random distortions of one molecule labelled by `springs`, sequence numbers from `start`."""
    generator = np.random.default_rng(seed)
    numbers, shape = MOLECULES[molecule]
    stored = []
    for place in range(count):
        positions = shape + generator.normal(scale=0.08, size=shape.shape)
        energy, forces = springs(positions, STIFFNESS[tier], shape)
        job = Job(Configuration(molecule, numbers, positions), Method(tier, NAMES[tier]), purpose)
        origin = Provenance("springs", "1", "here", 1, 0.1, 0.1)
        offset = -250.0 * len(numbers) - 10 * STIFFNESS[tier]
        stored.append(StoredFrame(start + place, job, Label(energy + offset, forces, origin), 1000))
    return stored


@pytest.fixture(scope="session")
def accurate() -> Frames:
    """Twelve accurate frames."""
    return from_stored(make_frames(Tier.CCSD, 12, 1))


@pytest.fixture(scope="session")
def unseen() -> Frames:
    """Sixty accurate frames that no training sees."""
    return from_stored(make_frames(Tier.CCSD, 60, 99))


@pytest.fixture(scope="session")
def frame_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as a campaign leaves it: 6 + 4 + 20 accurate frames, 30 dft, 200 xtb."""
    path = tmp_path_factory.mktemp("store") / "frames.zarr"
    stored = [
        *make_frames(Tier.CCSD, 6, 1, start=1),
        *make_frames(Tier.CCSD, 4, 2, Purpose.VALIDATION, start=101),
        *make_frames(Tier.CCSD, 20, 3, Purpose.HOLDOUT, start=201),
        *make_frames(Tier.DFT, 30, 4, start=301),
        *make_frames(Tier.XTB, 200, 5, start=401),
    ]
    with FrameStore.open_for_writing(path) as store:
        store.append(stored)
    return path
