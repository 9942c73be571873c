"""Frames as a foreign file has them: numbers in the file's own units, and what it says of them.

What the file doesn't say stays unsaid (NaN, "", `UNSTATED`, 0): whoever imports must say it.
Legend of shapes: `F` frames, `A` atoms of all frames together.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers, offsets
from forgefield.storage.records import Array, Configuration, Purpose

UNSTATED = -(2**31)
"""A charge that the file doesn't state; a multiplicity that it doesn't state is 0."""
UNCLEAR_SPIN = UNSTATED
"""A multiplicity of a frame that states a spin in one of several conventions."""
SPINS = ("spin", "total_spin")
Words = tuple[str, ...]
_WORDS = ("molecules", "methods", "tiers", "purposes")
_BY_FRAME = ("energy_F", "cell_F33", "stress_F33", "charge_F", "multiplicity_F")
_BY_ATOM = ("numbers", "positions_A3", "forces_A3")


@dataclass(frozen=True, slots=True, eq=False)
class ForeignFrames:
    """Frames of a file: `ptr` (F + 1,), `numbers` (A,), `positions_A3` and `forces_A3` (A, 3).

    `energy_F` (F,), `cell_F33` and `stress_F33` (F, 3, 3), as in `Frames`: NaN where absent. The
    words are one a frame. Units are `energy_unit` and `length_unit`, "" where the file is silent;
    stress is in these too, and forces unless the caller knows better.
    """

    ptr: Integers
    numbers: Integers
    positions_A3: Array
    energy_F: Array
    forces_A3: Array
    cell_F33: Array
    stress_F33: Array
    charge_F: Integers
    multiplicity_F: Integers
    molecules: Words
    methods: Words
    tiers: Words
    purposes: Words
    energy_unit: str = ""
    length_unit: str = ""

    def __len__(self) -> int:
        return len(self.energy_F)

    def atoms_of(self, frame: int) -> slice:
        """Where the atoms of one frame lie on the atom axis."""
        return slice(int(self.ptr[frame]), int(self.ptr[frame + 1]))

    def select(self, which: NDArray[np.bool_]) -> Self:
        """The frames of a mask (F,)."""
        atoms = np.repeat(which, np.diff(self.ptr))
        chosen: dict[str, Any] = {name: getattr(self, name)[which] for name in _BY_FRAME}
        chosen |= {name: getattr(self, name)[atoms] for name in _BY_ATOM}
        chosen |= {name: tuple(compress(getattr(self, name), which)) for name in _WORDS}
        return replace(self, ptr=offsets(np.diff(self.ptr)[which]), **chosen)

    def scaled(self, energy: float, length: float, force: float | None = None) -> Self:
        """The same in units so many times smaller; a factor of 1 keeps every bit.

        `force` is `energy` / `length` where the file has no unit of its own for forces.
        """
        return replace(
            self,
            positions_A3=self.positions_A3 * length,
            energy_F=self.energy_F * energy,
            forces_A3=self.forces_A3 * (energy / length if force is None else force),
            cell_F33=self.cell_F33 * length,
            stress_F33=self.stress_F33 * (energy / length**3),
        )

    def configurations(self) -> Iterator[Configuration]:
        """The geometry of each frame, where charge and multiplicity are stated."""
        numbers = self.numbers.tolist()
        boxed = np.asarray(~np.isnan(self.cell_F33).any(axis=(1, 2)))
        for frame in range(len(self)):
            atoms = self.atoms_of(frame)
            yield Configuration(
                self.molecules[frame],
                tuple(numbers[atoms]),
                self.positions_A3[atoms],
                int(self.charge_F[frame]),
                int(self.multiplicity_F[frame]),
                self.cell_F33[frame] if boxed[frame] else None,
            )


def foreign_frames(
    sizes: Sequence[int] | Integers,
    numbers: Integers,
    positions_A3: Array,
    energy_F: Array,
    *,
    forces_A3: Array | None = None,
    cell_F33: Array | None = None,
    stress_F33: Array | None = None,
    charge_F: Integers | None = None,
    multiplicity_F: Integers | None = None,
    molecules: Words = (),
    methods: Words = (),
    tiers: Words = (),
    purposes: Words = (),
    energy_unit: str = "",
    length_unit: str = "",
) -> ForeignFrames:
    """Frames of `sizes` (F,) atoms; everything that isn't given is unsaid."""
    count = len(sizes)
    no_box = np.full((count, 3, 3), np.nan)
    silence = ("",) * count
    return ForeignFrames(
        ptr=offsets(np.asarray(sizes, dtype=np.int64)),
        numbers=np.asarray(numbers, dtype=np.int64),
        positions_A3=_floats(positions_A3),
        energy_F=_floats(energy_F),
        forces_A3=np.full((len(numbers), 3), np.nan) if forces_A3 is None else _floats(forces_A3),
        cell_F33=no_box if cell_F33 is None else _floats(cell_F33),
        stress_F33=no_box if stress_F33 is None else _floats(stress_F33),
        charge_F=_integers(charge_F, count, UNSTATED),
        multiplicity_F=_integers(multiplicity_F, count, 0),
        molecules=molecules or silence,
        methods=methods or silence,
        tiers=tiers or silence,
        purposes=purposes or silence,
        energy_unit=energy_unit,
        length_unit=length_unit,
    )


def unclear_spins(multiplicity_F: Integers, said: Sequence[Collection[str]]) -> Integers:
    """Multiplicities (F,), marked where a frame says `spin`: it may mean S, 2S or 2S+1."""
    unclear = np.array([any(name in each for name in SPINS) for each in said], dtype=bool)
    return np.where((multiplicity_F == 0) & unclear, UNCLEAR_SPIN, multiplicity_F)


def from_frames(frames: Frames) -> ForeignFrames:
    """Our own frames, as a reader of our own formats hands them over."""
    methods = [frames.methods[place] for place in frames.method_F]
    return foreign_frames(
        np.diff(frames.ptr),
        frames.numbers,
        frames.positions_A3,
        frames.energy_F,
        forces_A3=frames.forces_A3,
        cell_F33=frames.cell_F33,
        stress_F33=frames.stress_F33,
        charge_F=frames.charge_F,
        multiplicity_F=frames.multiplicity_F,
        molecules=tuple(frames.molecules[place] for place in frames.molecule_F),
        methods=tuple(method.name for method in methods),
        tiers=tuple(method.tier.value for method in methods),
        purposes=purpose_names(frames),
        energy_unit="eV",
        length_unit="angstrom",
    )


def purpose_names(frames: Frames) -> Words:
    """What each frame was bought for, in words."""
    return tuple(Purpose(purpose).name.lower() for purpose in frames.purpose_F.tolist())


def _floats(values: Array) -> Array:
    return np.asarray(values, dtype=np.float64)


def _integers(values: Integers | None, count: int, unsaid: int) -> Integers:
    return np.full(count, unsaid) if values is None else np.asarray(values, dtype=np.int64)
