"""Which molecule a file holds, by its bonds: isomers have one formula.

Two atoms are bonded where their median distance over the file is below `REACH` times the sum of
their covalent radii. Bonds are compared by their pattern, blind to the numbering of atoms: each
atom's element, then again and again the elements and patterns of its neighbours, as in Morgan's
algorithm (J. Chem. Doc. 1965, 5, 107).

Legend: `N` frames, `A` atoms, `P` pairs of atoms. Units: Å.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.plausible_lengths import RADII_A
from forgefield.storage.geometry import pair_distances

REACH = 1.25
LOOKED_AT = 1000
"""Frames whose distances count, evenly spread over the file."""


@dataclass(frozen=True, slots=True)
class Bonds:
    """Symbols of the atoms, and the places of each one's neighbours."""

    symbols: tuple[str, ...]
    neighbours: tuple[tuple[int, ...], ...]

    @property
    def words(self) -> Counter[str]:
        """How often each kind of atom is there: `C(CHHO)` is a carbon with these neighbours."""
        return Counter(self._around(self.symbols, "{}({})"))

    @property
    def pattern(self) -> str:
        """A hash, the same for the same molecule in any numbering."""
        names: Sequence[str] = self.symbols
        for _ in self.symbols:
            names = [_hash([word]) for word in self._around(names, "{}<{}>")]
        return _hash(sorted(names))

    def _around(self, names: Sequence[str], form: str) -> list[str]:
        return [
            form.format(name, "".join(sorted(names[place] for place in beside)))
            for name, beside in zip(names, self.neighbours, strict=True)
        ]


def bonds_between(numbers: Sequence[int], pairs: Iterable[tuple[int, int]]) -> Bonds:
    """Bonds from atomic numbers and pairs of places."""
    neighbours: list[list[int]] = [[] for _ in numbers]
    for one, other in pairs:
        neighbours[one].append(other)
        neighbours[other].append(one)
    return Bonds(tuple(SYMBOLS[number] for number in numbers), tuple(map(tuple, neighbours)))


def bonds_of(file: LabelledFile) -> Bonds:
    """The bonds of a file's molecule."""
    chosen = np.unique(np.linspace(0, len(file) - 1, LOOKED_AT).astype(int))
    length_P = np.median(pair_distances(file.positions_NA3[chosen]), axis=0)
    first_P, second_P = np.triu_indices(len(file.numbers), k=1)
    radius_A = RADII_A[np.minimum(file.numbers, len(RADII_A) - 1)]
    bonded = length_P < REACH * (radius_A[first_P] + radius_A[second_P])
    pairs = zip(first_P[bonded].tolist(), second_P[bonded].tolist(), strict=True)
    return bonds_between(file.numbers, pairs)


def refuse_isomers(one: LabelledFile, other: LabelledFile) -> None:
    """Raise `InputError` where two files of one formula hold molecules of different bonds."""
    ours, theirs = bonds_of(one), bonds_of(other)
    if ours.pattern == theirs.pattern:
        return
    if ours.words == theirs.words:
        difference = "like atoms are bonded in another order"
    else:
        difference = (
            f"{_listed(ours.words - theirs.words)} in the first, "
            f"{_listed(theirs.words - ours.words)} in the second"
        )
    raise InputError(
        f"{one.path} and {other.path} hold two molecules of one formula: {difference}. Give files "
        "of the same molecule, or say --trust if bonds only break and form."
    )


def _listed(words: Counter[str]) -> str:
    return " ".join(f"{count}×{word}" for word, count in sorted(words.items())) or "nothing"


def _hash(words: Iterable[str]) -> str:
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).hexdigest()
