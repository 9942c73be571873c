"""GFN1-xTB and GFN2-xTB by tblite. One label takes a millisecond or two, so calls are batched."""

import importlib.metadata
from typing import TYPE_CHECKING

import numpy as np

from forgefield.labelers.costs import xtb_estimate
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.programs import need
from forgefield.storage.errors import BadConfiguration, InputError, NotConverged
from forgefield.storage.records import Configuration, Method, Molecule, Tier
from forgefield.storage.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    EV_PER_HARTREE,
)

if TYPE_CHECKING:
    from tblite.interface import Result

HEAVIEST_ELEMENT = 86
MAX_CYCLES = 250
ACCURACY = 0.05
"""tblite's accuracy factor: 0.05 leaves at most 1e-3 kcal/mol/Å in aspirin's forces."""
MIXER_DAMPING = (0.4, 0.1)
"""Tried in this order; tblite's default first."""


class XtbLabeler(Labeler):
    """A parametrisation of the extended tight-binding family, named as tblite names it."""

    program = "tblite"
    batch = 100

    def __init__(
        self,
        name: str = "GFN2-xTB",
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        energy_only: bool = False,
    ) -> None:
        super().__init__(Method(Tier.XTB, name), memory_bytes, energy_only=energy_only)
        self.parametrisation = name

    @property
    def version(self) -> str:
        """Version of tblite."""
        return importlib.metadata.version("tblite")

    def available(self) -> None:
        """Raise `MissingProgram` without tblite."""
        need("tblite", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Elements up to radon; any charge and spin."""
        super().check(molecule)
        for number in molecule.numbers:
            if not 1 <= number <= HEAVIEST_ELEMENT:
                raise InputError(
                    f"{self.method.name} has parameters for elements 1 to {HEAVIEST_ELEMENT}, "
                    f"not {number} ({molecule.name}); leave this tier out"
                )

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.xtb_estimate`."""
        return xtb_estimate(molecule, threads)

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy and forces; a second try damps the charge mixing more."""
        for remedy, damping in enumerate(MIXER_DAMPING):
            try:
                return self._singlepoint(configuration, damping, remedy)
            except NotConverged as error:
                reason = error
        raise reason

    def _singlepoint(self, configuration: Configuration, damping: float, remedy: int) -> Computed:
        from tblite.exceptions import TBLiteRuntimeError, TBLiteValueError
        from tblite.interface import Calculator

        try:
            calculator = Calculator(
                self.parametrisation,
                np.array(configuration.numbers),
                configuration.positions_A3 / ANGSTROM_PER_BOHR,
                charge=float(configuration.charge),
                uhf=configuration.multiplicity - 1,
            )
            for name, value in (
                ("verbosity", 0),
                ("accuracy", ACCURACY),
                ("max-iter", MAX_CYCLES),
                ("mixer-damping", damping),
            ):
                calculator.set(name, value)
            result = calculator.singlepoint()
        except TBLiteValueError as error:
            raise BadConfiguration(f"tblite refuses this configuration: {error}") from error
        except TBLiteRuntimeError as error:
            raise NotConverged(f"{self.method.name}: {error}; drop this configuration") from error
        gradient_A3 = result.get("gradient")
        return Computed(
            energy=float(result.get("energy")) * EV_PER_HARTREE,
            forces_A3=-gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
            diagnostics={"gap_eV": _frontier_gap(result), "scf_remedy": remedy},
        )


def _frontier_gap(result: "Result") -> float:
    energies = np.ravel(result.get("orbital-energies"))
    occupied = np.ravel(result.get("orbital-occupations")) > 0.5
    if occupied.all() or not occupied.any():
        return float("nan")
    return float(energies[~occupied].min() - energies[occupied].max()) * EV_PER_HARTREE
