"""A store of two small molecules, and tasks on it that take a second."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.tasks import Phase, Selection, StageTask

MODEL = EGNNSettings(layers=2, channels=24, radial=12)
FIT = FitSettings(
    steps=60, batch=8, rate=5e-3, warm_up=5, evaluate_every=20, save_every=10, compiled=False
)
MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]


@pytest.fixture(scope="session")
def two_molecules(make_frames: MakeFrames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 dft, 60 xtb and 8 + 4 accurate frames of each of `springs` and `bent`."""
    path = tmp_path_factory.mktemp("two") / "frames.zarr"
    stored = []
    for place, name in enumerate(("springs", "bent")):
        first = 1000 * place
        stored += [
            *make_frames(Tier.DFT, 60, first + 1, start=first + 1, molecule=name),
            *make_frames(Tier.XTB, 60, first + 1, start=first + 101, molecule=name),
            *make_frames(Tier.CCSD, 8, first + 2, start=first + 201, molecule=name),
            *make_frames(
                Tier.CCSD, 4, first + 3, Purpose.VALIDATION, start=first + 301, molecule=name
            ),
        ]
    with FrameStore.open_for_writing(path) as store:
        store.append(stored)
    return path


@pytest.fixture(scope="module")
def make_task(two_molecules: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeTask:
    """The function that makes a task of one phase: (name, tiers, fit changes, task changes).

    Every call gets a folder of its own.
    """
    folder = tmp_path_factory.mktemp("stages")
    calls = count()

    def make(name: str, *tiers: Tier, phase: dict[str, object] | None = None, **changes: object):  # noqa: ANN202
        selection = {"tiers": tiers, "molecules": changes.pop("molecules", ())}
        fit = FIT.model_copy(update=changes.pop("fit", {}))
        plain = StageTask(
            name=name,
            frames=two_molecules,
            output=folder / str(next(calls)) / name,
            phases=(Phase(frames=Selection(**selection), fit=fit, **(phase or {})),),
            model=MODEL,
        )
        return plain.model_copy(update=changes)

    return make
