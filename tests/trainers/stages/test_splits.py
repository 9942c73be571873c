"""A stage that is told to trains on a recorded split alone, its references too."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.records import Tier
from forgefield.storage.splitting import COLUMN
from forgefield.trainers.stages.data import chosen, target_frames
from forgefield.trainers.stages.tasks import Selection

ACCURATE = Selection(tiers=(Tier.CCSD,))


@pytest.fixture
def split(two_molecules: Path, tmp_path: Path) -> Path:
    """The store of two molecules, every second frame for training, of the others half to judge."""
    path = Path(shutil.copytree(two_molecules, tmp_path / "frames.zarr"))
    with FrameStore.open_for_writing(path) as store:
        split_F = np.arange(len(store)) % 4
        store.add_column(COLUMN, np.array([0, 1, 0, 2])[split_F], "every second frame")
    return path


def test_the_split_is_kept_to(split: Path) -> None:
    frames = load_frames(split)
    whole = chosen(frames, ACCURATE)
    train, judged = (
        chosen(frames, ACCURATE.model_copy(update={"split": name}))
        for name in ("train", "validation")
    )
    assert set(train.added_F[COLUMN]) == {0}
    assert set(judged.added_F[COLUMN]) == {1}
    assert (len(whole), len(train)) == (16, 8)
    assert set(train.seq_F) < set(whole.seq_F)
    cheap = Selection(tiers=(Tier.DFT,), split="train")
    references = target_frames(frames, Tier.CCSD, cheap)
    assert references is not None
    assert set(references.seq_F) == set(train.seq_F)


def test_frames_without_a_split_are_refused_where_one_is_asked_for(two_molecules: Path) -> None:
    frames = load_frames(two_molecules)
    with pytest.raises(InputError, match="`platform split` records one"):
        chosen(frames, ACCURATE.model_copy(update={"split": "train"}))


def test_selections_of_before_are_the_same_documents() -> None:
    assert "split" not in ACCURATE.model_dump_json()
    known = Selection(tiers=(Tier.CCSD,), split="train")
    assert Selection.model_validate_json(known.model_dump_json()) == known
