"""What frames of a file are taken for: units, charge, spin, purpose; methods: `methods`.

The file and the caller may both say so; they must not contradict each other, and what neither says
is asked for. Nothing is guessed but lengths in angstrom, which the distances of atoms then confirm,
and the lowest possible multiplicity of a neutral molecule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import UNCLEAR_SPIN, UNSTATED, ForeignFrames
from forgefield.storage.formats.units_of_files import (
    ENERGY_UNITS,
    FORCE_UNITS,
    LENGTH_UNITS,
    energy_unit,
    force_unit,
    length_unit,
)
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Purpose


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller says of a file; `None` where nothing is said."""

    tier: str | None = None
    method: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    charge: int | None = None
    multiplicity: int | None = None
    molecule: str | None = None
    purpose: str | None = None
    force_unit: str | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a file, as `units_of_files` spells them."""

    energy: str
    length: str
    force: str


def in_our_units(frames: ForeignFrames, stated: Stated, path: Path) -> tuple[ForeignFrames, Units]:
    """Frames in eV and Å, and the units they had; raises `InputError` where these aren't known.

    Forces are in energy by length unless the caller says otherwise.
    """
    energy = _unit(stated.energy_unit, frames.energy_unit, "energy", path)
    length = _unit(stated.length_unit, frames.length_unit, "length", path)
    force = force_unit(stated.force_unit or f"{energy}/{length}")
    ours = frames.scaled(ENERGY_UNITS[energy], LENGTH_UNITS[length], FORCE_UNITS[force])
    ours = replace(ours, energy_unit="eV", length_unit="angstrom")
    return ours, Units(energy, length, force)


def _unit(said: str | None, in_file: str, what: str, path: Path) -> str:
    known = energy_unit if what == "energy" else length_unit
    if said is None and not in_file and what == "energy":
        choices = ", ".join(ENERGY_UNITS)
        raise InputError(f"{path} doesn't say its unit of {what}: --{what}-unit {choices}.")
    if said is None:
        return known(in_file or "angstrom")
    if in_file and known(said) != known(in_file):
        raise InputError(
            f"{path} says that its {what} is in {in_file}, --{what}-unit says {said}. Leave the "
            "option out, or mend the file."
        )
    return known(said)


def with_stated(frames: ForeignFrames, stated: Stated, path: Path) -> ForeignFrames:
    """Frames with charge, multiplicity, molecule and purpose known for each.

    Raises `InputError` for contradictions and for spins that the electrons can't have.
    """
    charge = _agreed(frames.charge_F, UNSTATED, stated.charge, "charge", path)
    charge = np.where(charge == UNSTATED, 0, charge)
    electrons = np.add.reduceat(frames.numbers, frames.ptr[:-1]) - charge
    spin = _agreed(_clear(frames, stated, path), 0, stated.multiplicity, "multiplicity", path)
    spin = np.where(spin == 0, 1 + electrons % 2, spin)
    wrong = (electrons < 0) | (spin - 1 > electrons) | ((electrons - spin) % 2 == 0)
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"Frame {frame} of {path} has {electrons[frame]} electrons (charge {charge[frame]}), "
            f"which can't have multiplicity {spin[frame]}. Give --charge and --multiplicity."
        )
    return replace(
        frames,
        charge_F=charge,
        multiplicity_F=spin,
        molecules=_names(frames, stated.molecule, path),
        purposes=_purposes(frames.purposes, stated.purpose, path),
    )


def _clear(frames: ForeignFrames, stated: Stated, path: Path) -> Integers:
    """Multiplicities (F,), 0 where none is stated; raises `InputError` for a bare `spin`."""
    unclear = np.flatnonzero(frames.multiplicity_F == UNCLEAR_SPIN)
    if len(unclear) and stated.multiplicity is None:
        raise InputError(
            f"Frame {unclear[0]} of {path} has a field spin, which may mean S, 2S or 2S+1. Call it "
            "multiplicity (2S+1), or give --multiplicity."
        )
    return np.where(frames.multiplicity_F == UNCLEAR_SPIN, 0, frames.multiplicity_F)


def _agreed(
    in_file: np.ndarray, unsaid: int, said: int | None, what: str, path: Path
) -> np.ndarray:
    if said is None:
        return in_file
    other = np.flatnonzero((in_file != unsaid) & (in_file != said))
    if len(other):
        raise InputError(
            f"Frame {other[0]} of {path} says {what} {in_file[other[0]]}, --{what} says {said}. "
            "Leave the option out, or mend the file."
        )
    return np.full_like(in_file, said)


def _names(frames: ForeignFrames, said: str | None, path: Path) -> tuple[str, ...]:
    return tuple(said or name or path.stem for name in frames.molecules)


def _purposes(in_file: Sequence[str], said: str | None, path: Path) -> tuple[str, ...]:
    known = [purpose.name.lower() for purpose in Purpose]
    named = tuple((said or name or "train").lower() for name in in_file)
    unknown = [name for name in named if name not in known]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no purpose ({path}). Say --purpose: {', '.join(known)}."
        )
    return named
