"""Units, converted once at the edge where a foreign library is called.

Inside Forgefield everything is Å, eV, eV/Å, amu, e, fs and K; a name in another unit carries
it (`energy_hartree`, `wall_s`). Money is an integer number of micro core-seconds, so that
sums are exact. Values: CODATA, through `scipy.constants`.
"""

import math

from scipy import constants

EV_PER_HARTREE: float = constants.value("Hartree energy in eV")
ANGSTROM_PER_BOHR: float = constants.value("Bohr radius") * 1e10
EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR: float = EV_PER_HARTREE / ANGSTROM_PER_BOHR
EV_PER_KCAL_PER_MOL: float = constants.calorie * 1e3 / constants.N_A / constants.e
EV_PER_KJ_PER_MOL: float = 1e3 / constants.N_A / constants.e
EV_PER_KELVIN: float = constants.k / constants.e
KCAL_PER_MOL_PER_EV: float = 1.0 / EV_PER_KCAL_PER_MOL

MICRO = 1_000_000
"""Micro core-seconds in a core-second."""
CORE_SECONDS_PER_CORE_HOUR = 3600


def to_micro(core_seconds: float) -> int:
    """Core-seconds as integer micro core-seconds, rounded up so that no cost is lost.

    Inverts `from_micro`: a float's own rounding is not taken for a cost.
    """
    return math.ceil(round(core_seconds * MICRO, 3))


def from_micro(amount: int) -> float:
    """Micro core-seconds as core-seconds."""
    return amount / MICRO
