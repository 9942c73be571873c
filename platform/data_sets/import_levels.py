"""What frames of a file are taken for: level of theory, units, charge, purpose.

The file and the caller may both say so; they must not contradict each other, and what neither says
is asked for. Nothing is guessed but the lowest possible multiplicity of a neutral molecule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import UNSTATED, ForeignFrames
from forgefield.storage.formats.units_of_files import (
    ENERGY_UNITS,
    LENGTH_UNITS,
    energy_unit,
    length_unit,
)
from forgefield.storage.records import Method, Purpose, Tier

EMPIRICAL_NAMES = ("mmff", "uff", "amber", "spc", "opls", "gaff", "charmm")


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


def in_our_units(
    frames: ForeignFrames, stated: Stated, path: Path
) -> tuple[ForeignFrames, str, str]:
    """Frames in eV and Å, and the units they had; raises `InputError` where these aren't known."""
    energy = _unit(stated.energy_unit, frames.energy_unit, "energy", path)
    length = _unit(stated.length_unit, frames.length_unit or "angstrom", "length", path)
    ours = frames.scaled(ENERGY_UNITS[energy], LENGTH_UNITS[length])
    return replace(ours, energy_unit="eV", length_unit="angstrom"), energy, length


def _unit(said: str | None, in_file: str, what: str, path: Path) -> str:
    known = energy_unit if what == "energy" else length_unit
    if said is None and not in_file:
        choices = ", ".join(ENERGY_UNITS if what == "energy" else LENGTH_UNITS)
        raise InputError(f"{path} doesn't say its unit of {what}: --{what}-unit {choices}.")
    if said is None:
        return known(in_file)
    if in_file and what == "energy" and known(said) != known(in_file):
        raise InputError(
            f"{path} says that its {what} is in {in_file}, --{what}-unit says {said}. Leave the "
            "option out, or mend the file."
        )
    return known(said)


def methods_of(frames: ForeignFrames, stated: Stated, path: Path) -> tuple[Method, ...]:
    """The method of each frame; raises `InputError` for contradictions and what isn't said."""
    return _each(
        [_one_method(*each, stated, path) for each in sorted(set(_levels(frames)))],
        sorted(set(_levels(frames))),
        _levels(frames),
    )


def _levels(frames: ForeignFrames) -> list[tuple[str, str]]:
    return list(zip(frames.methods, frames.tiers, strict=True))


def _each(
    found: Sequence[Method], kinds: Sequence[tuple[str, str]], levels: Iterable[tuple[str, str]]
) -> tuple[Method, ...]:
    table = dict(zip(kinds, found, strict=True))
    return tuple(table[level] for level in levels)


def _one_method(in_file: str, tier_in_file: str, stated: Stated, path: Path) -> Method:
    fuller = stated.method and not _terms(in_file) > _terms(stated.method)
    name = " ".join(((stated.method if fuller else in_file) or "").split())
    if not name:
        raise InputError(f"{path} doesn't name its method. Say --method, such as PBE/def2-SVP.")
    if stated.method and in_file and not _agree(stated.method, in_file):
        raise InputError(
            f"{path} says that it was labelled by {in_file!r}, --method says {stated.method!r}. "
            "Import it as what it is: labels of several methods must not pass for one."
        )
    likely, tier = tier_of(name), stated.tier or tier_in_file or tier_of(name)
    tiers = [member.value for member in Tier]
    if not tier or tier.lower() not in tiers:
        said = f"{tier!r} is no tier" if tier else f"nobody says the tier of {name}"
        raise InputError(f"{said}. Say --tier: {', '.join(tiers)}.")
    clash = [each for each in (likely, tier_in_file) if each and each != tier.lower()]
    if clash:
        raise InputError(
            f"{name} is a method of tier {clash[0]}, not {tier}. Say --tier {clash[0]}."
        )
    return Method(Tier(tier.lower()), name)


def tier_of(method: str) -> str:
    """The tier that a method's name means; "" where the name says nothing."""
    plain = method.lower().replace("(", "").replace(")", "")
    if "ccsd" in plain or "fci" in plain:
        return Tier.CCSD.value
    if "xtb" in plain:
        return Tier.XTB.value
    if plain.startswith(EMPIRICAL_NAMES):
        return Tier.EMPIRICAL.value
    return Tier.DFT.value if "/" in plain else ""


def _agree(one: str, other: str) -> bool:
    """One names all that the other names: "Psi4: CCSD(T), cc-pVTZ" is CCSD(T)/cc-pVTZ."""
    first, second = _terms(one), _terms(other)
    return first <= second or second <= first


def _terms(method: str) -> set[str]:
    bare = method.rsplit(":", 1)[-1].lower()
    return {term for term in bare.replace(",", "/").replace(" ", "/").split("/") if term}


def with_stated(frames: ForeignFrames, stated: Stated, path: Path) -> ForeignFrames:
    """Frames with charge, multiplicity, molecule and purpose known for each.

    Raises `InputError` for contradictions and for spins that the electrons can't have.
    """
    charge = _agreed(frames.charge_F, UNSTATED, stated.charge, "charge", path)
    charge = np.where(charge == UNSTATED, 0, charge)
    electrons = np.add.reduceat(frames.numbers, frames.ptr[:-1]) - charge
    spin = _agreed(frames.multiplicity_F, 0, stated.multiplicity, "multiplicity", path)
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
