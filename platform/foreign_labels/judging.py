"""A file of labels, read and doubted: is it what the caller says it is?

Everything is looked at before anything is written: shapes and numbers by the reader, then level of
theory, units, charge and spin, and whether energies and forces can be of that level and unit.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from forgefield.platform.foreign_labels.methods import methods_of
from forgefield.platform.foreign_labels.stated import (
    Stated,
    Units,
    in_our_units,
    with_stated,
)
from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import reader_of
from forgefield.storage.formats.foreign import ForeignFrames, from_frames
from forgefield.storage.formats.plausible import check_forces, check_neighbours, check_totals
from forgefield.storage.formats.plausible_lengths import check_lengths
from forgefield.storage.formats.sameness import Labelled
from forgefield.storage.frames import Frames
from forgefield.storage.records import IMPORTED, Job, Label, Method, Provenance, Purpose, Tier

DIGITS = 16
"""Of the file's SHA-256, in the place of a program's version."""
TOTALS = frozenset({Tier.DFT, Tier.CCSD})
"""Tiers whose energies are totals of all electrons."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a file is said to be; `cost_s` core-seconds a label are noted, and cost nothing.

    With `trust`, energies and forces aren't held against what such molecules have.
    """

    file: Path
    stated: Stated = field(default_factory=Stated)
    cost_s: float = 0.0
    format: str | None = None
    trust: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A file that was believed: `frames` in eV and Å, `methods` one a frame, units it had."""

    question: Question
    frames: ForeignFrames
    methods: tuple[Method, ...]
    units: Units
    sha256: str

    def labels(self) -> list[Labelled]:
        """All frames as labels, in the order of the file."""
        origin = Provenance(
            IMPORTED, self.sha256[:DIGITS], "", 1, self.question.cost_s, self.question.cost_s
        )
        return list(_labels(self.frames, self.methods, origin))


def judge(question: Question) -> Judged:
    """Read a file and doubt it; raises `InputError` with the frame and the reason."""
    path = question.file
    if not path.exists():
        raise InputError(f"There is no {path}. Check the path.")
    read = reader_of(path, question.format).read
    if read is None:
        raise InputError(f"{path} is of a format that is only written.")
    frames, units = in_our_units(read(path), question.stated, path)
    methods = methods_of(frames, question.stated, path)
    frames = with_stated(frames, question.stated, path)
    if not question.trust:
        check_lengths(frames, units.length, path)
    for method in () if question.trust else dict.fromkeys(methods):
        part = frames.select(np.array([each == method for each in methods]))
        if method.tier in TOTALS:
            check_totals(part, units.energy, path)
            check_neighbours(part, path)
        check_forces(part, path, units.force)
    return Judged(question, frames, methods, units, _digest(path))


def check_against(judged: Judged, known: Frames) -> None:
    """Hold total energies against those of the same composition and tier that are known."""
    tiers = TOTALS & {method.tier for method in judged.methods}
    for tier in () if judged.question.trust else sorted(tiers):
        before = known.of_tier(tier)
        if len(before):
            part = judged.frames.select(np.array([each.tier == tier for each in judged.methods]))
            check_neighbours(part, judged.question.file, from_frames(before))


def labels_of(frames: Frames) -> list[Labelled]:
    """Frames of a store as labels, in their order."""
    methods = tuple(frames.methods[place] for place in frames.method_F)
    return list(_labels(from_frames(frames), methods, Provenance("", "", "", 1, 0.0, 0.0)))


def _labels(
    frames: ForeignFrames, methods: tuple[Method, ...], origin: Provenance
) -> Iterator[Labelled]:
    with_stress = np.asarray(~np.isnan(frames.stress_F33).any(axis=(1, 2)))
    for frame, shape in enumerate(frames.configurations()):
        forces = frames.forces_A3[frames.atoms_of(frame)]
        label = Label(
            float(frames.energy_F[frame]),
            None if np.isnan(forces).any() else forces,
            origin,
            frames.stress_F33[frame] if with_stress[frame] else None,
        )
        purpose = Purpose[frames.purposes[frame].upper()]
        yield Labelled(Job(replace(shape), methods[frame], purpose), label)


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder, each with its name."""
    digest = hashlib.sha256()
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for each in files:
        if path.is_dir():
            digest.update(each.relative_to(path).as_posix().encode())
        with each.open("rb") as opened:
            while block := opened.read(2**20):
                digest.update(block)
    return digest.hexdigest()
