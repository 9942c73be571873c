"""Force fields of another version are refused with the remedy, never loaded into other weights.

`tests/older_version` was written by the version before models named their elements.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from forgefield.storage.errors import InputError
from forgefield.trainers.force_field import DESCRIPTION, WEIGHTS, ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings, NequIPSettings

MODEL = EGNNSettings(layers=1, channels=4, radial=4, elements=(1, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A force field of today's."""
    metadata = Metadata(method="m", scale=1.0, references={1: 0.0, 8: 0.0}, model=MODEL)
    ForceField.fresh(metadata).save(tmp_path / "ff")
    return tmp_path / "ff"


def test_an_older_one_says_that_it_has_to_be_trained_again(repository: Path) -> None:
    with pytest.raises(InputError, match=r"made by another version.*Train again"):
        ForceField.load(repository / "tests/older_version/force_field")


def test_unknown_fields_and_weights_are_another_version_too(folder: Path, tmp_path: Path) -> None:
    assert ForceField.load(folder).metadata.model == MODEL
    newer = shutil.copytree(folder, tmp_path / "newer")
    text = (newer / DESCRIPTION).read_text()
    (newer / DESCRIPTION).write_text(text.replace('"format"', '"invented": 2, "format"', 1))
    with pytest.raises(InputError, match="another version"):
        ForceField.load(newer)
    weights = load_file(folder / WEIGHTS)
    name = next(iter(weights))
    for changed in ({**weights, "more": torch.zeros(1)}, {**weights, name: torch.zeros(7, 7)}):
        save_file(changed, folder / WEIGHTS)
        with pytest.raises(InputError, match="another version"):
            ForceField.load(folder)


def test_damaged_weights_are_said_to_be_damaged(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged"):
        ForceField.load(folder)


def test_nequip_saved_before_it_had_products_has_none(tmp_path: Path) -> None:
    plain = NequIPSettings(layers=2, channels=(4, 2), products=0, elements=(1, 8))
    metadata = Metadata(method="m", scale=1.0, references={1: 0.0, 8: 0.0}, model=plain)
    saved = ForceField.fresh(metadata)
    saved.save(tmp_path / "ff")
    described = json.loads((tmp_path / "ff" / DESCRIPTION).read_text())
    del described["model"]["products"]
    (tmp_path / "ff" / DESCRIPTION).write_text(json.dumps(described))
    loaded = ForceField.load(tmp_path / "ff")
    assert loaded.metadata.model == plain
    weights = saved.network.state_dict()
    assert all(torch.equal(weights[name], w) for name, w in loaded.network.state_dict().items())
