"""Gradients of integrals over atomic orbitals, contracted with densities (PySCF's libcint).

Two-electron integrals are differentiated exactly, or as density-fitted ones where the field's
are. Every gradient of two-electron integrals sums to zero over the atoms, so the atom whose
integrals cost most is left out and follows from the others.

Legend: `A` atoms, `n` atomic orbitals, `T` = n(n+1)/2 pairs; hartree, bohr.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from forgefield.labelers.coupled_cluster.integrals import is_fitted
from forgefield.labelers.coupled_cluster.pairs import numbering
from forgefield.storage.errors import BadConfiguration
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from pyscf.gto import Mole
    from pyscf.scf.hf import RHF

BLOCK_BYTES = 50_000_000
"""Room for one block of derivative integrals: large ones leave the cache and page."""


def two_electron_gradient(field: "RHF", gamma: Array, block_bytes: int = BLOCK_BYTES) -> Array:
    """Σ Γ_μνρσ ∂(μν|ρσ)/∂R (A, 3); `gamma` (T, T) with the symmetry of the integrals."""
    if is_fitted(field):
        return _fitted(field, gamma)
    return _exact(field.mol, gamma, block_bytes)


def one_electron_gradient(field: "RHF", density: Array, weighted: Array) -> Array:
    """Σ D ∂h/∂R + Σ W ∂S/∂R (A, 3); both symmetric (n, n)."""
    gradient = field.nuc_grad_method()
    core_derivative = gradient.hcore_generator(field.mol)
    overlap_derivative = gradient.get_ovlp(field.mol)
    result = np.empty((field.mol.natm, 3))
    for atom, (_, _, start, stop) in enumerate(field.mol.offset_nr_by_atom()):
        result[atom] = np.einsum("xij,ji->x", core_derivative(atom), density)
        mine = overlap_derivative[:, start:stop]
        result[atom] += 2.0 * np.einsum("xij,ij->x", mine, weighted[start:stop])
    return result


def _exact(mol: "Mole", gamma: Array, block_bytes: int) -> Array:
    n = mol.nao
    number = numbering(n, torch.device("cpu")).numpy()
    weights = np.full(len(gamma), 2.0)
    weights[number.diagonal()] = 1.0
    result = np.zeros((mol.natm, 3))
    costs = [_cost(mol, atom) for atom in range(mol.natm)]
    dearest = int(np.argmax(costs))
    for atom in range(mol.natm):
        if atom == dearest:
            continue
        for shells, orbitals in _shell_blocks(mol, atom, block_bytes):
            every = (0, mol.nbas) * 3
            integrals = mol.intor("int2e_ip1", comp=3, aosym="s2kl", shls_slice=(*shells, *every))
            rows = gamma[number[orbitals[0] : orbitals[1]].ravel()] * weights
            result[atom] -= 4.0 * (integrals.reshape(3, -1) @ rows.ravel())
    result[dearest] = -result.sum(axis=0)
    return result


def _fitted(field: "RHF", gamma: Array) -> Array:
    """2 Σ Γ_P,μν ∂(μν|P)/∂R − Σ γ_PQ ∂(P|Q)/∂R with Γ_P = Γ c_P, γ = c Γ c, c = J⁻¹ (P|μν)."""
    from pyscf import df, lib
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    mol, auxiliary = (
        field.mol,
        field.with_df.auxmol or df.addons.make_auxmol(field.mol, field.with_df.auxbasis),
    )
    n = mol.nao
    metric = auxiliary.intor("int2c2e", aosym="s1")
    three = df.incore.aux_e2(mol, auxiliary, "int3c2e", aosym="s2ij").T  # (Q, T)
    try:
        fit = cho_solve(cho_factor(metric, lower=True), three)
    except LinAlgError as error:
        raise BadConfiguration(
            f"the fitting basis of {len(metric)} functions is linearly dependent at this geometry, "
            "so fitted derivatives would be wrong; use the method without DF-"
        ) from error
    weights = np.full(len(gamma), 2.0)
    weights[numbering(n, torch.device("cpu")).numpy().diagonal()] = 1.0
    three_index = (fit * weights) @ gamma  # Γ_P over pairs
    two_index = (three_index * weights) @ fit.T
    whole = lib.unpack_tril(three_index)
    result = np.zeros((mol.natm, 3))
    of_orbitals = df.incore.aux_e2(mol, auxiliary, "int3c2e_ip1", aosym="s1", comp=3)
    of_auxiliary = df.incore.aux_e2(mol, auxiliary, "int3c2e_ip2", aosym="s1", comp=3)
    of_metric = auxiliary.intor("int2c2e_ip1", comp=3)
    by_orbital = -4.0 * np.einsum("xuvP,Puv->ux", of_orbitals, whole, optimize=True)
    by_auxiliary = -2.0 * np.einsum("xuvP,Puv->Px", of_auxiliary, whole, optimize=True)
    by_auxiliary += 2.0 * np.einsum("xPQ,PQ->Px", of_metric, two_index)
    orbital_slices, auxiliary_slices = mol.aoslice_by_atom(), auxiliary.aoslice_by_atom()
    for atom in range(mol.natm):
        start, stop = orbital_slices[atom, 2:]
        result[atom] += by_orbital[start:stop].sum(axis=0)
        start, stop = auxiliary_slices[atom, 2:]
        result[atom] += by_auxiliary[start:stop].sum(axis=0)
    return result


def _cost(mol: "Mole", atom: int) -> float:
    """Functions times primitives of an atom, what its derivative integrals cost."""
    first, last = mol.offset_nr_by_atom()[atom][:2]
    return float(
        sum(
            (2 * mol.bas_angular(s) + 1) * mol.bas_nctr(s) * mol.bas_nprim(s)
            for s in range(first, last)
        )
    )


def _shell_blocks(
    mol: "Mole", atom: int, block_bytes: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Shells and orbitals of an atom, as many at once as fit into a block."""
    first, last, _, _ = mol.offset_nr_by_atom()[atom]
    n = mol.nao
    limit = max(1, block_bytes // (8 * 4 * n * n * (n + 1) // 2))
    offsets = mol.ao_loc_nr()
    start = first
    for shell in range(first + 1, last + 1):
        if shell == last or offsets[shell + 1] - offsets[start] > limit:
            yield (start, shell), (int(offsets[start]), int(offsets[shell]))
            start = shell
