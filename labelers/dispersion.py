"""London dispersion for density functionals: D3(BJ) and D4, by the packages of their authors.

`dftd3` and `dftd4` rather than `pyscf-dispersion`, which wraps the same two: both are released
for every Python that Forgefield runs on, and dispersion needs no density, so nothing of PySCF.
D3(BJ): Grimme, Ehrlich and Goerigk, J. Comput. Chem. 32, 1456 (2011), pairs only, as usual.
D4: Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019), with the three-body term.
"""

from typing import Literal, NamedTuple

import numpy as np

from forgefield.labelers.programs import need
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Configuration
from forgefield.storage.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    EV_PER_HARTREE,
)

Scheme = Literal["D3(BJ)", "D4"]
PACKAGES: dict[Scheme, str] = {"D3(BJ)": "dftd3", "D4": "dftd4"}
_OTHER_FUNCTIONAL = ("WB97", "B97")
"""The parameters under these names are for refitted functionals, not for the plain ones."""


class Attraction(NamedTuple):
    """Dispersion energy, eV, and its forces (A, 3), eV/Å."""

    energy: float
    forces_A3: Array


def refuse_unparametrised(functional: str, scheme: Scheme) -> None:
    """Raise `InputError` where a functional has no parameters; `MissingProgram` without D3, D4."""
    need(PACKAGES[scheme], f"{functional}-{scheme}")
    known = not functional.upper().startswith(_OTHER_FUNCTIONAL)
    if known:
        try:
            _damping(functional, scheme)
        except RuntimeError:
            known = False
    if not known:
        raise InputError(
            f"{scheme} has no parameters for {functional}; known are PBE, PBE0, B3LYP, BLYP, "
            f"TPSS, r2SCAN, … Leave -{scheme} out or take another functional"
        )


def attraction(configuration: Configuration, functional: str, scheme: Scheme) -> Attraction:
    """What `scheme` adds to a functional's energy and forces: a millisecond."""
    numbers = np.array(configuration.numbers)
    positions_bohr = configuration.positions_A3 / ANGSTROM_PER_BOHR
    if scheme == "D4":
        from dftd4 import interface as dftd4

        fourth = dftd4.DispersionModel(numbers, positions_bohr, float(configuration.charge))
        found = fourth.get_dispersion(_damping(functional, scheme), grad=True)
    else:
        from dftd3 import interface as dftd3

        third = dftd3.DispersionModel(numbers, positions_bohr)
        found = third.get_dispersion(_damping(functional, scheme), grad=True)
    return Attraction(
        float(found["energy"]) * EV_PER_HARTREE,
        -np.asarray(found["gradient"]) * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    )


def _damping(functional: str, scheme: Scheme) -> object:
    if scheme == "D4":
        from dftd4 import interface as dftd4

        return dftd4.DampingParam(method=functional)
    from dftd3 import interface as dftd3

    return dftd3.RationalDampingParam(method=functional)
