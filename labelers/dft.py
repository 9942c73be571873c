"""Kohn-Sham DFT with density fitting: RKS for singlets, UKS otherwise (PySCF).

The grid level belongs to the name of the method unless it is `DEFAULT_GRID`, as dispersion does.
Forces hold the derivative of the grid's points and weights, so that they are the slope of the
computed energy and sum to zero on any grid. It costs about what it costs to leave it out.

A field is first solved roughly on the coarsest grid, which is six times as cheap, and then on
its own. Both passes end at the same field, within the thresholds of the second.
"""

import importlib.metadata
from typing import TYPE_CHECKING

from forgefield.labelers.costs import dft_estimate
from forgefield.labelers.dispersion import PACKAGES, Scheme, attraction, refuse_unparametrised
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate
from forgefield.labelers.mean_field import Found, MeanFieldLabeler
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import ScfRecord, attempt, converge
from forgefield.storage.records import Configuration, Method, Molecule, Tier

if TYPE_CHECKING:
    from pyscf.dft.rks import KohnShamDFT as KohnSham
    from pyscf.gto import Mole

DEFAULT_GRID = 4
"""Mean distance of PBE/def2-SVP forces from rMD17's, kcal/mol/Å: 0.009 at 3, 0.002 at 4 and 5."""
ENERGY_HARTREE, GRADIENT_HARTREE = 1e-9, 3e-6
ROUGH_GRID = 1
ROUGH_ENERGY_HARTREE, ROUGH_GRADIENT_HARTREE = 1e-6, 1e-3


class DftLabeler(MeanFieldLabeler):
    """One functional in one basis on one grid, with dispersion or without."""

    def __init__(
        self,
        functional: str,
        basis: str,
        grid: int = DEFAULT_GRID,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        dispersion: Scheme | None = None,
        energy_only: bool = False,
    ) -> None:
        if dispersion is not None:
            refuse_unparametrised(functional, dispersion)
        scheme = f"-{dispersion}" if dispersion else ""
        suffix = "" if grid == DEFAULT_GRID else f", grid {grid}"
        method = Method(Tier.DFT, f"{functional}{scheme}/{basis}{suffix}")
        super().__init__(method, basis, memory_bytes, energy_only=energy_only)
        self.functional, self.grid, self.dispersion = functional, grid, dispersion

    @property
    def version(self) -> str:
        """Version of PySCF, and of the package that adds dispersion."""
        if self.dispersion is None:
            return super().version
        package = PACKAGES[self.dispersion]
        return f"{super().version} ({package} {importlib.metadata.version(package)})"

    def available(self) -> None:
        """Raise `MissingProgram` without PySCF or the package for dispersion."""
        super().available()
        if self.dispersion is not None:
            need(PACKAGES[self.dispersion], self.method.name)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.dft_estimate`."""
        from pyscf.dft import libxc

        return dft_estimate(
            molecule,
            self.basis,
            grid=self.grid,
            hybrid=bool(libxc.is_hybrid_xc(self.functional)),
            threads=threads,
            forces=not self.energy_only,
        )

    def field(self, molecule: "Mole") -> "KohnSham":
        """Density-fitted, on the rough grid."""
        from pyscf import dft

        kind = dft.UKS if molecule.spin else dft.RKS
        field = kind(molecule, xc=self.functional).density_fit()
        field.grids.level = min(ROUGH_GRID, self.grid)
        field.with_df.build()  # without it PySCF makes the Coulomb integrals anew in each iteration
        return field

    def solve(self, field: "KohnSham") -> ScfRecord:
        """The rough pass, then the one that counts."""
        rough, start_bb = 0, None
        if self.grid > ROUGH_GRID:
            rough = attempt(field, ROUGH_ENERGY_HARTREE, ROUGH_GRADIENT_HARTREE, None)
            start_bb = field.make_rdm1() if field.converged else None
            field.grids.level = self.grid
            field.grids.reset()
        record = converge(field, ENERGY_HARTREE, GRADIENT_HARTREE, start_bb)
        return ScfRecord(rough + record.iterations, record.remedy, record.gap)

    def found(self, field: "KohnSham") -> Found:
        """Energy, and the gradient with the grid's response in it."""
        if self.energy_only:
            return Found(float(field.e_tot), None)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        return Found(float(field.e_tot), gradient.kernel())

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """Energy and forces, eV and eV/Å, dispersion added."""
        bare = super().compute(configuration, threads)
        if self.dispersion is None:
            return bare
        extra = attraction(configuration, self.functional, self.dispersion)
        return Computed(
            bare.energy + extra.energy,
            None if bare.forces_A3 is None else bare.forces_A3 + extra.forces_A3,
            {**bare.diagnostics, "dispersion_eV": extra.energy},
        )
