"""Units that files come in, by their usual names, in eV and Å."""

import math

from forgefield.storage.errors import InputError
from forgefield.storage.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_HARTREE,
    EV_PER_KCAL_PER_MOL,
    EV_PER_KJ_PER_MOL,
)

ENERGY_UNITS = {
    "eV": 1.0,
    "kcal/mol": EV_PER_KCAL_PER_MOL,
    "kJ/mol": EV_PER_KJ_PER_MOL,
    "Hartree": EV_PER_HARTREE,
    "meV": 1e-3,
}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": ANGSTROM_PER_BOHR, "nm": 10.0}
FORCE_UNITS = {
    f"{energy}/{length}": per_energy / per_length
    for energy, per_energy in ENERGY_UNITS.items()
    for length, per_length in LENGTH_UNITS.items()
}
_OTHER_NAMES = {
    "ev": "eV",
    "mev": "meV",
    "kcalmol": "kcal/mol",
    "kcal": "kcal/mol",
    "kjmol": "kJ/mol",
    "kj": "kJ/mol",
    "hartree": "Hartree",
    "ha": "Hartree",
    "eh": "Hartree",
    "au": "Hartree",
    "a.u.": "Hartree",
    "ang": "angstrom",
    "angstrom": "angstrom",
    "å": "angstrom",
    "a": "angstrom",
    "bohr": "bohr",
    "a0": "bohr",
    "nm": "nm",
}


def energy_unit(name: str) -> str:
    """The one spelling of an energy unit; raises `InputError` for an unknown one."""
    return _known(name, tuple(ENERGY_UNITS), "energy")


def length_unit(name: str) -> str:
    """The one spelling of a length unit; raises `InputError` for an unknown one."""
    return _known(name, tuple(LENGTH_UNITS), "length")


def force_unit(name: str) -> str:
    """The one spelling of a unit of force, energy by length; raises `InputError`."""
    if name.strip().lower() in ("au", "a.u."):
        return "Hartree/bohr"
    energy, divided, length = name.rpartition("/")
    if not divided:
        raise InputError(f"{name!r} is no unit of force. Write energy/length, as Hartree/bohr.")
    return f"{energy_unit(energy)}/{length_unit(length)}"


def nearest_force_unit(size: float) -> str:
    """The unit of force nearest to `size` eV/Å in ratio."""
    return min(FORCE_UNITS, key=lambda unit: abs(math.log(FORCE_UNITS[unit] / size)))


def _known(name: str, units: tuple[str, ...], what: str) -> str:
    plain = name.strip().lower().replace(" ", "")
    found = _OTHER_NAMES.get(plain) or _OTHER_NAMES.get(plain.replace("/", "").replace("_", ""))
    if found not in units:
        raise InputError(f"{name!r} is no unit of {what}. Choose from {', '.join(units)}.")
    return str(found)
