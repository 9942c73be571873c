"""Target errors as people write them: `0.3kcal`, `0.3kcal/mol/Å`, `13meV`, `0.013eV/Å`.

A target is a mean absolute error of force components. It is kept, and shown, in kcal/mol/Å.
"""

import re

from forgefield.storage.errors import InputError
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

FORMS = "0.3kcal (kcal/mol/Å), 13meV (meV/Å) or 0.013eV"
LEAST, LARGEST = 1e-3, 100.0
"""kcal/mol/Å: the noise of the labels' own forces, and what no force field is worse than."""
_PATTERN = re.compile(
    r"(?P<amount>[0-9]{1,6}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})\s?"
    r"(?:(?P<kcal>kcal(?:/mol)?)|(?P<mev>mev)|(?P<ev>ev))(?:/(?:å|a|ang|angstrom))?"
)
_RING = {"\u212b": "å", "a\u030a": "å"}
"""Å as the sign for the unit and as two characters, after lower case."""


def parse_target(text: str) -> float:
    """A force error in kcal/mol/Å; raises `InputError` with the known forms."""
    plain = text.strip().lower()
    for written, meant in _RING.items():
        plain = plain.replace(written.lower(), meant)
    match = _PATTERN.fullmatch(plain)
    if match is None:
        raise InputError(f"{text[:60]!r} is not a target error. Write it like {FORMS}.")
    scale = 1.0 if match["kcal"] else KCAL_PER_MOL_PER_EV * (1e-3 if match["mev"] else 1.0)
    target = float(match["amount"]) * scale
    if not LEAST <= target <= LARGEST:
        raise InputError(
            f"A target error must lie between {LEAST:g} and {LARGEST:g} kcal/mol/Å; "
            f"{text[:60]!r} is {target:.3g}."
        )
    return target
