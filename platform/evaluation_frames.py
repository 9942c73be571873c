"""Test frames that people hand over in a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from forgefield.platform.planning.allocation import TARGET
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    IMPORTED,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored

if TYPE_CHECKING:
    from ase import Atoms

UNKNOWN = "unknown"
"""Method of frames whose file names none."""
STATE = (("charge", 0), ("multiplicity", 1))
"""Fields of a frame, and what holds where it lacks them."""
ORIGIN = Provenance(IMPORTED, "", "", 0, 0.0, 0.0)


def read_frames(path: Path) -> Frames:
    """Frames with energies (eV) and forces (eV/Å) from any file ASE reads.

    `method` in a frame's info says what labelled it. Raises `InputError` where the file can't
    be read, a frame lacks its label, or one is periodic.
    """
    import ase.io

    try:
        images = ase.io.read(path, index=":")
        stored = [_stored(index, atoms) for index, atoms in enumerate(images, 1)]
    except Exception as error:
        raise InputError(
            f"Can't test on {path}: {type(error).__name__}: {str(error)[:200]}. It needs energies "
            "(eV) and forces (eV/Å) for every frame, as `platform export` writes them."
        ) from error
    periodic = [index for index, atoms in enumerate(images, 1) if atoms.pbc.any()]
    if periodic:
        raise InputError(
            f"Frame {periodic[0]} of {path} is periodic, and these force fields are for molecules. "
            'Give molecules in vacuum, with pbc="F F F".'
        )
    return from_stored(stored)


def _stored(seq: int, atoms: "Atoms") -> StoredFrame:
    label = Label(atoms.get_potential_energy(), atoms.get_forces(), ORIGIN)
    numbers = tuple(int(number) for number in atoms.numbers)
    charge, multiplicity = (int(atoms.info.get(name, unsaid)) for name, unsaid in STATE)
    name = atoms.get_chemical_formula()
    configuration = Configuration(name, numbers, atoms.positions, charge, multiplicity)
    method = Method(TARGET, str(atoms.info.get("method", UNKNOWN)))
    return StoredFrame(seq, Job(configuration, method, Purpose.HOLDOUT), label, 0)
