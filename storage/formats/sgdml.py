"""sGDML archives (`.npz`): one molecule, one method, and fixed names for its arrays.

Written: `type` d, `name`, `theory`, `md5`, `z` (A,), `R` (F, A, 3), `E` (F,), `F` (F, A, 3),
`r_unit` Ang, `e_unit` eV, the extremes of E and F that sGDML keeps, and for us `charge` and
`multiplicity`. Read: these, `lattice` (3, 3), whose columns are the vectors of the box, rMD17's
names (`coords`, `nuclear_charges`, `energies`, `forces`), and archives in which sizes differ, with
`Z` (F, A), `N` (F,) and charges `Q` (F,), padded with zeros.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import ForeignFrames, foreign_frames, unclear_spins
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.safe_files import read_archive, reading, replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frames import Frames

Arrays = Mapping[str, NDArray[Any]]
NAMES = {
    "positions": ("R", "coords"),
    "numbers": ("z", "nuclear_charges", "Z"),
    "energies": ("E", "energies"),
    "forces": ("F", "forces"),
}


def write_sgdml(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write one molecule's frames; raises `InputError` for several molecules, methods or cells."""
    numbers_A = _one_kind(frames)
    atoms = len(numbers_A)
    dataset: dict[str, Any] = {
        "type": np.array("d"),
        "code_version": np.array("1.0.3"),
        "name": np.array(frames.molecules[frames.molecule_F[0]]),
        "theory": np.array(frames.methods[frames.method_F[0]].name),
        "z": numbers_A.astype(np.uint8),
        "R": frames.positions_A3.reshape(-1, atoms, 3),
        "E": frames.energy_F,
        "r_unit": np.array("Ang"),
        "e_unit": np.array("eV"),
        "E_min": frames.energy_F.min(),
        "E_max": frames.energy_F.max(),
        "E_mean": frames.energy_F.mean(),
        "E_var": frames.energy_F.var(),
        "charge": frames.charge_F[0],
        "multiplicity": frames.multiplicity_F[0],
    }
    if not np.isnan(frames.forces_A3).any():
        forces = frames.forces_A3.reshape(-1, atoms, 3)
        extremes = {"F_min": forces.min(), "F_max": forces.max()}
        dataset |= {"F": forces, "F_mean": forces.mean(), "F_var": forces.var(), **extremes}
    dataset["md5"] = np.array(fingerprint(dataset))
    with replacing(Path(path), "an sGDML archive") as waiting, waiting.open("wb") as file:
        np.savez_compressed(file, **dataset)
    tell(len(frames))


def fingerprint(dataset: Mapping[str, Any]) -> str:
    """The md5 that sGDML checks: over z, R, E and F in its own order (`sgdml.utils.io`)."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in ("z", "R", "E", "F"):
        if name in dataset:
            values = np.asarray(dataset[name])
            digest.update(hashlib.md5(values.ravel().tobytes(), usedforsecurity=False).digest())
    return digest.hexdigest()


def read_sgdml(path: Path) -> ForeignFrames:
    """All frames of an archive; raises `InputError` for anything else, or a damaged one."""
    with reading(path, "an sGDML or rMD17 archive"):
        arrays = read_archive(path)
        found = {name: _first(arrays, names) for name, names in NAMES.items()}
        lacking = [name for name in ("positions", "numbers", "energies") if found[name] is None]
        if lacking:
            raise InputError(
                f"{path} holds no {lacking[0]}: an sGDML archive has z, R, E and F, an rMD17 one "
                "nuclear_charges, coords, energies and forces."
            )
        return checked(_flat(arrays, found, path), path)


def _flat(arrays: Arrays, found: Mapping[str, NDArray[Any] | None], path: Path) -> ForeignFrames:
    positions, energies = _real(found["positions"], path), _real(found["energies"], path).ravel()
    numbers = _whole(found["numbers"], path)
    forces = None if found["forces"] is None else _real(found["forces"], path)
    if positions.ndim != 3 or positions.shape[2] != 3 or len(positions) != len(energies):
        raise InputError(
            f"{path} has positions of shape {positions.shape} and {len(energies)} energies; they "
            "must be (frames, atoms, 3) and (frames,)."
        )
    frames, atoms = positions.shape[:2]
    if numbers.shape not in {(atoms,), (frames, atoms)}:
        raise InputError(f"{path} has atomic numbers of shape {numbers.shape} for {atoms} atoms.")
    if forces is not None and forces.shape != positions.shape:
        raise InputError(f"{path} has forces of shape {forces.shape}, not {positions.shape}.")
    there = np.broadcast_to(numbers, (frames, atoms)) != 0
    if numbers.ndim == 1 and (numbers == 0).any():
        raise InputError(f"{path} has an atom of number 0, which is no element.")
    return foreign_frames(
        there.sum(axis=1),
        np.broadcast_to(numbers, (frames, atoms))[there],
        positions[there],
        energies,
        forces_A3=None if forces is None else forces[there],
        cell_F33=_cells(arrays, frames, path),
        charge_F=_stated(arrays, ("charge", "Q"), frames),
        multiplicity_F=_multiplicities(arrays, frames),
        molecules=(_text(arrays, "name"),) * frames,
        methods=(_text(arrays, "theory"),) * frames,
        energy_unit=_text(arrays, "e_unit"),
        length_unit=_text(arrays, "r_unit"),
    )


def _one_kind(frames: Frames) -> NDArray[np.int64]:
    if not len(frames):
        raise InputError("There are no frames to write.")
    atoms = int(frames.ptr[1])
    same_size = (np.diff(frames.ptr) == atoms).all()
    numbers = frames.numbers.reshape(-1, atoms) if same_size else frames.numbers[None, :0]
    same_state = all(
        (values == values[0]).all() for values in (frames.charge_F, frames.multiplicity_F)
    )
    if not (same_size and (numbers == numbers[0]).all() and same_state):
        raise InputError(
            "An sGDML archive holds one molecule, of one charge and spin; there are several here. "
            "Write extended XYZ or HDF5."
        )
    if len(set(frames.method_F.tolist())) > 1:
        raise InputError("An sGDML archive holds one method; choose one of them.")
    if not np.isnan(frames.cell_F33).all():
        raise InputError("An sGDML archive holds no periodic boxes; write extended XYZ or HDF5.")
    absent = np.isnan(frames.forces_A3).any(axis=1)
    if absent.any() and not absent.all():
        raise InputError("Some frames have forces and some have none; sGDML has no place for that.")
    return np.asarray(numbers[0])


def _first(arrays: Arrays, names: tuple[str, ...]) -> NDArray[Any] | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _real(values: NDArray[Any] | None, path: Path) -> NDArray[np.float64]:
    if values is None or values.dtype.kind not in "fiu":
        raise InputError(f"{path} has an array of {values is not None and values.dtype}.")
    return values.astype(np.float64)


def _whole(values: NDArray[Any] | None, path: Path) -> NDArray[np.int64]:
    numbers = _real(values, path)
    if not (np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all()):
        raise InputError(f"{path} has atomic numbers that are not whole.")
    return np.clip(numbers, -1e9, 1e9).astype(np.int64)


def _stated(arrays: Arrays, names: tuple[str, ...], frames: int) -> NDArray[np.int64] | None:
    values = _first(arrays, names)
    if values is None:
        return None
    numbers = np.broadcast_to(np.asarray(values, dtype=np.float64).ravel(), (frames,))
    if not (numbers == np.rint(numbers)).all():
        raise ValueError(f"{names[0]} is not always a whole number")
    return np.clip(numbers, -1e9, 1e9).astype(np.int64)


def _multiplicities(arrays: Arrays, frames: int) -> NDArray[np.int64]:
    found = _stated(arrays, ("multiplicity",), frames)
    none = np.zeros(frames, dtype=np.int64) if found is None else found
    return unclear_spins(none, [arrays.keys()] * frames)


def _cells(arrays: Arrays, frames: int, path: Path) -> NDArray[np.float64] | None:
    """The cell of all frames, (F, 3, 3): rows are vectors here, columns in the archive."""
    if "lattice" not in arrays:
        return None
    lattice = _real(arrays["lattice"], path)
    if lattice.shape != (3, 3) or not np.linalg.det(lattice):
        raise InputError(
            f"{path} has a lattice of shape {lattice.shape} that spans no box; it must be three "
            "vectors, one a column. Write boxes that differ as extended XYZ."
        )
    return np.broadcast_to(lattice.T, (frames, 3, 3))


def _text(arrays: Arrays, name: str) -> str:
    if name not in arrays or arrays[name].size != 1:
        return ""
    value = arrays[name].item()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
