"""Geometries in archives: sGDML's and rMD17's (`.npz`), and ASE's databases (`.db`, `.json`).

Each frame is its atomic numbers (A,), positions (A, 3) in Å, and all that its file says of charge
and spin, by the file's own names. Archives with `Z` (F, A) are padded with zeros.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forgefield.labelers.chemgraph import shown
from forgefield.storage.errors import InputError
from forgefield.storage.formats.safe_files import read_archive, reading
from forgefield.storage.formats.units_of_files import length_unit
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from ase import Atoms
    from ase.db.row import AtomsRow

Arrays = Mapping[str, NDArray[Any]]
Found = tuple[Array, Array, Mapping[str, Any]]
"""Numbers, positions and fields of a frame."""
CHARGE_FIELDS = ("charge", "total_charge", "Q")
MULTIPLICITY_FIELDS = ("multiplicity", "spin_multiplicity")
_STATED = (*CHARGE_FIELDS, *MULTIPLICITY_FIELDS, "spin")
_PAIRS = (("R", "z"), ("coords", "nuclear_charges"), ("R", "Z"))
"""Names of positions (F, A, 3) and atomic numbers, (A,) or (F, A): sGDML's, rMD17's, padded."""


def archive_frames(path: Path) -> Iterator[Found]:
    """The frames of an `.npz`; raises `InputError` for anything else, or a damaged one."""
    with reading(path, "an sGDML or rMD17 archive"):
        arrays = read_archive(path)
        positions_FA3, numbers_FA = _geometries(arrays, path)
        stated = {name: _by_frame(arrays, name, len(positions_FA3), path) for name in _STATED}
        said = {name: values for name, values in stated.items() if values is not None}
    for frame, (numbers, positions_A3) in enumerate(zip(numbers_FA, positions_FA3, strict=True)):
        info = {name: values[frame] for name, values in said.items()}
        yield numbers[numbers != 0], positions_A3[numbers != 0], info


def database_rows(path: Path) -> Iterator[tuple["Atoms", Mapping[str, Any]]]:
    """Rows of ASE's database: what `data` and the key-value pairs say is of the frame.

    Raises `InputError` for another file, and for a row whose two places contradict each other.
    """
    with reading(path, "an ASE database"):
        from ase.db import connect

        rows = list(connect(path, use_lock_file=False).select())
        found = [(row.toatoms(), _pairs(row), dict(row.data)) for row in rows]
    for number, (atoms, pairs, data) in enumerate(found):
        for name in set(_STATED) & pairs.keys() & data.keys():
            if pairs[name] != data[name]:
                raise InputError(
                    f"row {number} of {shown(str(path))} has {name}={pairs[name]} as a key-value "
                    f"pair and {name}={data[name]} in its data; mend one of them"
                )
        yield atoms, {**pairs, **data}


def _pairs(row: "AtomsRow") -> dict[str, Any]:
    """Key-value pairs as stored: `row.charge` is another thing, the sum of initial charges."""
    return {name: vars(row)[name] for name in row.key_value_pairs}


def _geometries(arrays: Arrays, path: Path) -> tuple[Array, NDArray[np.int64]]:
    """Positions (F, A, 3) and numbers (F, A), 0 where a frame has no such atom."""
    names = next((pair for pair in _PAIRS if set(pair) <= arrays.keys()), None)
    if names is None:
        raise InputError(
            f"{shown(str(path))} holds neither R and z (sGDML) nor coords and nuclear_charges "
            "(rMD17); save it with one of these pairs of names"
        )
    _refuse_unit_or_box(arrays, path)
    positions_FA3, numbers = (_numeric(arrays[name], name, path) for name in names)
    if positions_FA3.ndim != 3 or numbers.shape[-1:] != positions_FA3.shape[1:2]:
        raise _misshapen(positions_FA3, numbers, path)
    if positions_FA3.shape[2] != 3 or numbers.shape not in {
        positions_FA3.shape[:2],
        positions_FA3.shape[1:2],
    }:
        raise _misshapen(positions_FA3, numbers, path)
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 1000)
    if not whole.all() or (numbers.ndim == 1 and (numbers == 0).any()):
        raise InputError(
            f"{shown(str(path))} has {numbers[~whole][0] if not whole.all() else 0:g} as an atomic "
            f"number in {names[1]}; they must be whole, from 1 to 118"
        )
    return positions_FA3, np.broadcast_to(numbers.astype(np.int64), positions_FA3.shape[:2])


def _misshapen(positions: Array, numbers: Array, path: Path) -> InputError:
    return InputError(
        f"{shown(str(path))} has positions of shape {positions.shape} for atomic numbers of shape "
        f"{numbers.shape}; they must be (frames, atoms, 3) and (atoms,)"
    )


def _numeric(values: NDArray[Any], name: str, path: Path) -> Array:
    if values.dtype.kind not in "fiu":
        raise InputError(f"{shown(str(path))} has {name} of {values.dtype}; save numbers")
    return values.astype(np.float64)


def _refuse_unit_or_box(arrays: Arrays, path: Path) -> None:
    unit = str(arrays["r_unit"]) if "r_unit" in arrays else "Ang"
    if length_unit(unit) != "angstrom":
        raise InputError(f"{shown(str(path))} has lengths in {unit!r}; convert them to Ang")
    if "lattice" in arrays:
        raise InputError(
            f"{shown(str(path))} has a lattice; write periodic boxes as extended XYZ, with Lattice"
        )


def _by_frame(arrays: Arrays, name: str, frames: int, path: Path) -> list[Any] | None:
    """What the array says of each frame, or of all where it is one number."""
    if name not in arrays:
        return None
    values = arrays[name].ravel()
    if len(values) not in {1, frames}:
        raise InputError(
            f"{shown(str(path))} has {name} of shape {arrays[name].shape} for {frames} frames; "
            "give one number, or one a frame"
        )
    return list(np.broadcast_to(values, (frames,)).tolist())
