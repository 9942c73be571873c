"""Frame stores for training: what a stage may read, and nothing else.

Test frames never enter one. A store's name is the hash of what is in it (files, places, tiers,
purposes), and all frames are committed at once: a store is whole or empty, and found again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forgefield.platform.benchmarking.draws import Draw
from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.platform.foreign_labels.matching import Paired
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.records import Method, Purpose


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of a file that go into a store for one purpose."""

    file: LabelledFile
    index: Sequence[int]
    purpose: Purpose = Purpose.TRAIN


def accurate_parts(file: LabelledFile, draw: Draw, train: int) -> list[Part]:
    """The first `train` training frames of a draw and its validation frames."""
    return [
        Part(file, draw.train[:train]),
        Part(file, draw.validation, Purpose.VALIDATION),
    ]


def make_store(folder: Path, parts: Sequence[Part]) -> Path:
    """The store that holds `parts`, made in `folder` where it isn't there."""
    path = folder / f"{_name(parts)}.zarr"
    with FrameStore.open_for_writing(path) as store:
        if not len(store):
            first, frames = 1, []
            for part in parts:
                frames += part.file.stored(part.index, part.purpose, first=first)
                first += len(part.index)
            store.append(frames)
    return path


def difference_file(file: LabelledFile, paired: Paired) -> LabelledFile:
    """The same geometries with accurate minus cheap labels: what Δ-learning fits.

    What was fitted to it is added to the cheap labels again (Ramakrishnan et al., J. Chem. Theory
    Comput. 11, 2087 (2015)). Its hash is of both files.
    """
    both = f"{file.sha256} {file.unit} minus {paired.source}"
    return replace(
        file,
        sha256=hashlib.sha256(both.encode()).hexdigest(),
        method=Method(file.method.tier, f"{file.method.name} minus cheap labels"),
        energy_N=file.energy_N - paired.energy_N,
        forces_NA3=file.forces_NA3 - paired.forces_NA3,
    )


def _name(parts: Sequence[Part]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        said = (part.file.sha256, part.file.method, part.file.unit, part.purpose, part.file.name)
        digest.update(repr(said).encode())
        digest.update(np.asarray(part.index, dtype="<i8").tobytes())
    return digest.hexdigest()
