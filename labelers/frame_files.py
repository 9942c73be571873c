"""Every frame of a structure file, as it stands there: different molecules and sizes in one file.

SDF and MOL files are read by RDKit with their bonds and charges, sGDML and rMD17 archives and ASE's
databases by `frame_archives`, everything else by ASE. Nothing is mended: a frame that is flat,
periodic in some directions only, without its hydrogens or without a possible spin refuses the whole
file, by its number from 0, as in `ase.io.read(path, index)`.

Charge and multiplicity come from a frame's own fields or from the caller, who must not
contradict the file; else 0 and the lowest possible. Legend: `F` frames, `A` atoms. Å, e.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rdkit import Chem, rdBase

from forgefield.labelers.chemgraph import molecule_of, shown
from forgefield.labelers.frame_archives import (
    CHARGE_FIELDS,
    MULTIPLICITY_FIELDS,
    archive_frames,
    database_rows,
)
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame: `numbers` (A,), `positions_A3` (A, 3) Å; `info` as the file has it.

    `mol_block` and `smiles` hold the bonds where the file has any, `cell_33` the lattice vectors of
    a periodic box as rows.
    """

    numbers: tuple[int, ...]
    positions_A3: Array
    charge: int
    multiplicity: int
    info: Mapping[str, Any] = field(default_factory=dict)
    smiles: str = ""
    mol_block: str = ""
    cell_33: Array | None = None


def read_frames(
    path: Path, *, charge: int | None = None, multiplicity: int | None = None
) -> list[Frame]:
    """All frames of a file in its order; raises `InputError` for a file that can't be labelled."""
    if not path.is_file():
        raise InputError(f"no file {shown(str(path))}; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"the file {shown(str(path))} is empty")
    frames = []
    for number, frame in enumerate(_READERS.get(path.suffix.lower(), _ase_frames)(path)):
        try:
            _refuse_impossible(frame)
            frames.append(_with_stated(frame, charge, multiplicity))
        except InputError as error:
            raise InputError(f"frame {number} of {shown(str(path))}: {error}") from error
    if not frames:
        raise InputError(f"{shown(str(path))} holds no frames")
    return frames


def _ase_frames(path: Path) -> Iterator[Frame]:
    import ase.io

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ase.io.read(path, index=":")
    except Exception as error:  # ASE's readers raise anything at all
        reason = str(error) or type(error).__name__
        raise InputError(
            f"ASE can't read {shown(str(path))}: {reason[:200]}; write it as extended XYZ or SDF"
        ) from error
    for atoms in found:
        yield _ase_frame(atoms, atoms.info, path)


def _ase_frame(atoms: "Atoms", info: Mapping[str, Any], path: Path) -> Frame:
    if atoms.pbc.any() and not atoms.pbc.all():
        raise InputError(
            f"{shown(str(path))} is periodic in some directions only; set its pbc to T T T for "
            "a box or F F F for a molecule"
        )
    frame = _unstated(atoms.numbers, atoms.positions, info)
    return replace(frame, cell_33=np.array(atoms.cell)) if atoms.pbc.all() else frame


def _archive_frames(path: Path) -> Iterator[Frame]:
    for numbers_A, positions_A3, info in archive_frames(path):
        yield _unstated(numbers_A, positions_A3, info)


def _database_frames(path: Path) -> Iterator[Frame]:
    for atoms, info in database_rows(path):
        yield _ase_frame(atoms, info, path)


def _sdf_frames(path: Path) -> Iterator[Frame]:
    with rdBase.BlockLogs():
        try:
            entries = list(Chem.SDMolSupplier(str(path), removeHs=False))
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{shown(str(path))} can't be read: {error}") from error
        for number, entry in enumerate(entries):
            if entry is None or entry.GetNumAtoms() == 0:
                raise InputError(
                    f"RDKit reads no molecule in frame {number} of {shown(str(path))}; "
                    "check valences and format"
                )
            yield _sdf_frame(entry, number, path)


def _sdf_frame(entry: Chem.Mol, number: int, path: Path) -> Frame:
    flat = not (entry.GetNumConformers() and entry.GetConformer().Is3D())
    lacks_hydrogens = any(atom.GetTotalNumHs() for atom in entry.GetAtoms())
    if flat or lacks_hydrogens:
        lacking = "3D coordinates" if flat else "the coordinates of its hydrogens"
        raise InputError(
            f"frame {number} of {shown(str(path))} lacks {lacking}; labels are for exact geometries"
        )
    found = molecule_of(entry, path.stem)
    return Frame(
        found.numbers,
        found.positions_A3,
        found.charge,
        found.multiplicity,
        {"charge": found.charge, "multiplicity": found.multiplicity},
        found.smiles,
        found.mol_block,
    )


_READERS = {
    ".npz": _archive_frames,
    ".db": _database_frames,
    ".json": _database_frames,
    ".sdf": _sdf_frames,
    ".mol": _sdf_frames,
}


def _unstated(numbers_A: Array, positions_A3: Array, info: Mapping[str, Any]) -> Frame:
    numbers = tuple(int(number) for number in numbers_A)
    return Frame(numbers, np.array(positions_A3, dtype=np.float64), 0, 0, dict(info))


def _refuse_impossible(frame: Frame) -> None:
    if not frame.numbers or not all(1 <= number <= 118 for number in frame.numbers):
        raise InputError("no atoms, or atoms of no element; mend or drop it")
    if not np.isfinite(frame.positions_A3).all():
        raise InputError("a coordinate is not a number; mend or drop it")


def _with_stated(frame: Frame, charge: int | None, multiplicity: int | None) -> Frame:
    """The frame with the charge and spin that it or the caller states, if they are possible."""
    q = _agreed("charge", _stated(frame, CHARGE_FIELDS), charge)
    spin = _agreed("multiplicity", _stated(frame, MULTIPLICITY_FIELDS), multiplicity)
    if spin is None and "spin" in frame.info:
        raise InputError(
            f"spin={frame.info['spin']} may mean S, 2S or 2S+1; call the field multiplicity (2S+1) "
            "or give --multiplicity"
        )
    q = 0 if q is None else q
    electrons = sum(frame.numbers) - q
    spin = 1 + electrons % 2 if spin is None else spin
    if spin < 1 or spin - 1 > electrons or (electrons - spin) % 2 == 0:
        raise InputError(
            f"{electrons} electrons (charge {q}) can't have multiplicity {spin}; "
            "set charge and multiplicity in the file, or give --charge and --multiplicity"
        )
    return replace(frame, charge=q, multiplicity=spin)


def _stated(frame: Frame, names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in frame.info:
            value = frame.info[name]
            try:
                if float(value) == int(float(value)):
                    return int(float(value))
            except (OverflowError, TypeError, ValueError):
                pass
            raise InputError(f"{name}={str(value)[:40]} is not a whole number")
    return None


def _agreed(what: str, in_file: int | None, given: int | None) -> int | None:
    if None not in (in_file, given) and in_file != given:
        raise InputError(
            f"the file says {what} {in_file}, --{what} says {given}; leave the option out or mend "
            "the file"
        )
    return given if in_file is None else in_file
