"""Molecular-orbital integrals of a converged closed-shell field (PySCF), exact or density-fitted.

Both kinds give the same things: integrals over pairs of orbitals, and the gradient of their
contraction with a two-particle density (`derivatives`), so that a calculation is exact or fitted
throughout, never a mixture.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.blocks import Blocks
from forgefield.labelers.coupled_cluster.ladder import packed
from forgefield.labelers.coupled_cluster.pairs import numbering
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from pyscf.scf.hf import RHF


def blocks_of(field: "RHF", core: int, device: torch.device) -> Blocks:
    """Integrals over the correlated orbitals: all but the first `core`."""
    orbitals = np.ascontiguousarray(field.mo_coeff[:, core:])
    energies = torch.from_numpy(np.asarray(field.mo_energy[core:])).to(device)
    o = int(np.count_nonzero(field.mo_occ > 0)) - core
    pairs = torch.from_numpy(orbital_pairs(field, orbitals)).to(device)
    return split(pairs, energies, o)


def is_fitted(field: "RHF") -> bool:
    """Whether the field's integrals are density-fitted."""
    return getattr(field, "with_df", None) is not None


def orbital_pairs(field: "RHF", orbitals: Array) -> Array:
    """(pq|rs) over pairs p ≥ q and r ≥ s of `orbitals` (n, m): a square matrix."""
    from pyscf import ao2mo

    if is_fitted(field):
        factors = field.with_df.ao2mo(orbitals, compact=True)
        return np.asarray(factors)
    return np.asarray(ao2mo.full(field._eri, orbitals, compact=True, verbose=0))  # noqa: SLF001


def split(pairs: Tensor, energies: Tensor, o: int) -> Blocks:
    """`pairs` [(p≥q), (r≥s)], occupied orbitals first, sorted into blocks."""
    n = len(energies)
    v = n - o
    number = numbering(n, pairs.device)
    oo, ov, vv = number[:o, :o], number[:o, o:], number[o:, o:]
    virtual_pairs = vv[torch.tril_indices(v, v).unbind()]

    def block(bra: Tensor, ket: Tensor) -> Tensor:
        shape = (*bra.shape, *ket.shape)
        return pairs[bra.reshape(-1)][:, ket.reshape(-1)].view(shape)

    return Blocks(
        f_oo=torch.diag(energies[:o]),
        f_vv=torch.diag(energies[o:]),
        oooo=block(oo, oo),
        ooov=block(oo, ov),
        oovv=block(oo, vv),
        ovov=block(ov, ov),
        ovvv=block(ov, vv),
        vvvv=packed(pairs[virtual_pairs][:, virtual_pairs], v),
    )
