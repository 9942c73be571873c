"""Files of published labels: read, doubted, and made into frames of a tier.

The unit of energy is what the caller says, or the file, or kcal/mol as in MD17; forces are in
that unit by Å. Wrong units are found before anything is computed: from total energies, from
forces against energies, and from how large forces of molecules are.

Legend: `N` frames of a file, `A` atoms of its one molecule. Units after reading: eV, Å, eV/Å.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.foreign_labels.import_options import options_of_import_named
from forgefield.platform.foreign_labels.stated import Stated, in_our_units, with_stated
from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import reader_of
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.formats.plausible import check_forces, check_neighbours, check_totals
from forgefield.storage.formats.plausible_lengths import check_lengths
from forgefield.storage.formats.units_of_files import ENERGY_UNITS, energy_unit
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    IMPORTED,
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
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

MD17_UNIT = "kcal/mol"
WEAKEST, STRONGEST = 0.15, 10.0
"""Root mean square of force components, eV/Å, between which molecules lie from 100 K to 2000 K."""
MOST_APART = 2.5
"""Forces of two methods at two temperatures may differ by so much; a kJ is 4.2 times a kcal."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFile:
    """Labels of one molecule by one method, in the order of the file."""

    path: Path
    sha256: str
    method: Method
    unit: str
    name: str
    numbers: tuple[int, ...]
    charge: int
    multiplicity: int
    positions_NA3: Array
    energy_N: Array
    forces_NA3: Array

    def __len__(self) -> int:
        return len(self.energy_N)

    def stored(self, index: Sequence[int], purpose: Purpose, *, first: int) -> list[StoredFrame]:
        """The frames of `index` in its order, numbered from `first`, as a store takes them."""
        return [self._stored(at, purpose, first + place) for place, at in enumerate(index)]

    def frames(self, index: Sequence[int], purpose: Purpose = Purpose.HOLDOUT) -> Frames:
        """The frames of `index`, in no store; they measure errors where nothing else is said."""
        return from_stored(self.stored(index, purpose, first=1))

    def _stored(self, at: int, purpose: Purpose, seq: int) -> StoredFrame:
        shape = Configuration(
            self.name, self.numbers, self.positions_NA3[at], self.charge, self.multiplicity
        )
        origin = Provenance(IMPORTED, self.sha256[:16], "", 1, 0.0, 0.0)
        label = Label(float(self.energy_N[at]), self.forces_NA3[at], origin)
        return StoredFrame(seq, Job(shape, self.method, purpose), label, 0)


def read_labelled(
    path: Path,
    tier: Tier,
    unit: str | None,
    *,
    trust: bool = False,
    unit_option: str = "--unit",
) -> LabelledFile:
    """Read and doubt a file; `trust` leaves the doubts out. Raises `InputError` with the reason."""
    refuse_missing(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder. Give a file; `platform export` makes one of a run.")
    with options_of_import_named(unit_option):
        frames, unit = _believed(path, unit, trust=trust)
    numbers = _one_molecule(frames, path)
    atoms = (len(frames), len(numbers), 3)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LabelledFile(
        path=path,
        sha256=digest,
        method=Method(tier, frames.methods[0] or f"labels of {path.name}"),
        unit=unit,
        name=frames.molecules[0],
        numbers=numbers,
        charge=int(frames.charge_F[0]),
        multiplicity=int(frames.multiplicity_F[0]),
        positions_NA3=frames.positions_A3.reshape(atoms),
        energy_N=frames.energy_F,
        forces_NA3=frames.forces_A3.reshape(atoms),
    )


def refuse_missing(path: Path) -> None:
    """Raise `InputError` where there is nothing at a path."""
    if not path.exists():
        raise InputError(f"There is no file {path}. Check the path.")


def _believed(path: Path, unit: str | None, *, trust: bool) -> tuple[ForeignFrames, str]:
    """The frames in our units, and the unit of energy that they had."""
    read = reader_of(path, None).read
    if read is None:
        raise InputError(f"{path} is of a format that is only written.")
    raw = read(path)
    said = energy_unit(unit) if unit else None
    stated = Stated(energy_unit=said or raw.energy_unit or MD17_UNIT)
    frames, units = in_our_units(raw, stated, path)
    frames = with_stated(frames, stated, path)
    if not np.isfinite(frames.forces_A3).all():
        raise InputError(f"{path} has frames without forces, which these trainings need.")
    if not trust:
        check_lengths(frames, units.length, path)
        check_totals(frames, units.energy, path)
        check_neighbours(frames, path)
        check_forces(frames, path, units.force)
        _check_sizes(frames.forces_A3, units.energy, path)
    return frames, units.energy


def _one_molecule(frames: ForeignFrames, path: Path) -> tuple[int, ...]:
    first = frames.numbers[frames.atoms_of(0)]
    alike = (np.diff(frames.ptr) == len(first)).all()
    if not alike or not (frames.numbers.reshape(len(frames), -1) == first).all():
        raise InputError(
            f"{path} holds several molecules, or one with its atoms in several orders. A benchmark "
            "takes one molecule, its atoms in one order."
        )
    if not np.isnan(frames.cell_F33).all():
        raise InputError(f"{path} holds periodic boxes; a benchmark takes a molecule in vacuum.")
    return tuple(first.tolist())


def _check_sizes(forces_A3: Array, unit: str, path: Path) -> None:
    """Energies and forces may both be in another unit, and energies of formation don't tell."""
    size = _size(forces_A3)
    if WEAKEST < size < STRONGEST:
        return
    other = "eV" if size < WEAKEST else MD17_UNIT
    raise InputError(
        f"The forces of {path} are {size:.3g} eV/Å ({size * KCAL_PER_MOL_PER_EV:.3g} kcal/mol/Å) "
        f"in the root mean square if the file is in {unit}; those of molecules are 0.5 to 3 eV/Å. "
        f"Say --unit {other} if that is its unit, or --trust if {unit} is right."
    )


def refuse_unlike_forces(one: LabelledFile, other: LabelledFile) -> None:
    """Raise `InputError` where two files of one molecule are hardly in the units they were read in.

    Names the unit that would make them alike.
    """
    first, second = _size(one.forces_NA3), _size(other.forces_NA3)
    if 1 / MOST_APART < second / first < MOST_APART:
        return
    guesses = [
        (abs(np.log(second / first * (factor if file is other else 1 / factor))), file.path, unit)
        for file in (one, other)
        for unit, size in ENERGY_UNITS.items()
        for factor in [size / ENERGY_UNITS[file.unit]]
    ]
    gap, path, unit = min(guesses, key=lambda guess: guess[0])
    likely = "No unit makes them alike" if gap > np.log(MOST_APART) else f"{path} may be in {unit}"
    first, second = first * KCAL_PER_MOL_PER_EV, second * KCAL_PER_MOL_PER_EV
    raise InputError(
        f"The forces of {one.path} are {first:.3g} kcal/mol/Å in the root mean square if it is in "
        f"{one.unit}, those of {other.path} {second:.3g} if that is in {other.unit}. {likely}; "
        "--unit is of all files, --dft-unit of the cheap one. Say --trust if both are right."
    )


def _size(forces_A3: Array) -> float:
    """Root mean square of the components."""
    return float(np.sqrt(np.mean(forces_A3**2)))
