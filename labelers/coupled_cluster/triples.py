"""(T): its energy and all derivatives of it, in one pass over i ≥ j ≥ k.

Closed shells, canonical orbitals. With D = ε_i + ε_j + ε_k − ε_a − ε_b − ε_c and (pairs in
parentheses sum over the three ways to single out one of i, j, k)

    W = Σ_pairs Σ_f [(ia|bf) t_kj^cf + (jb|af) t_ki^cf] − Σ_m [(kc|im) t_mj^ab + (kc|jm) t_im^ab]
    V = (ia|jb) t_k^c + (ia|kc) t_j^b + (jb|kc) t_i^a
    S(x) = 4x_abc + x_bca + x_cab − 2(x_bac + x_acb + x_cba)
    E(T) = Σ_{i≥j≥k} 2s ⟨W + V, S(W)/D⟩,   s = 1, or 1/2 where two indices are equal

(Raghavachari et al., Chem. Phys. Lett. 157, 479 (1989); Lee & Rendell, J. Chem. Phys. 94, 6229
(1991)), the derivatives are those of a bilinear form: ∂E/∂W = 2Y, ∂E/∂V = 2R with
R = s S(W)/D and Y = s S(2W + V)/D, carried on to integrals and amplitudes while W is at hand.
E depends on orbital energies as on the diagonal of a Fock matrix; the off-diagonal derivatives,
which gradients need, are found from z = (W + V)/D and R too. Work: about 3.5 o³v⁴ + 3 o⁴v³
multiply-adds; memory beyond the integrals: their adjoints and 8 v³.

Nothing here knows of molecules or programs. Arrays are torch tensors of one floating type on one
device. Legend: `i j k m` (o) occupied, `a b c f` (v) virtual.
"""

from torch import Tensor

from forgefield.labelers.coupled_cluster.triple_adjoints import Adjoints, TripleDerivatives
from forgefield.labelers.coupled_cluster.triple_sweep import Sweep, TripleInputs

__all__ = ["TripleDerivatives", "TripleInputs", "triples_derivatives", "triples_energy"]


def triples_energy(inputs: TripleInputs) -> float:
    """E(T) alone, hartree: a third of the work."""
    sweep = Sweep(inputs)
    energy = 0.0
    for i, j, k in _ordered(len(inputs.e_o)):
        sweep.amplitudes(i, j, k)
        denominator = _denominator(inputs, i, j, k)
        energy += 2.0 * float(
            (sweep.arrays.total * sweep.arrays.energy_weights * denominator).sum()
        )
    return energy


def triples_derivatives(inputs: TripleInputs) -> TripleDerivatives:
    """E(T) and every derivative."""
    sweep = Sweep(inputs)
    adjoint = Adjoints(sweep)
    for i, j, k in _ordered(len(inputs.e_o)):
        sweep.amplitudes(i, j, k)
        adjoint.add(i, j, k)
    return adjoint.result()


def _ordered(o: int) -> "list[tuple[int, int, int]]":
    """I ≥ j ≥ k but for i = j = k, where S(W) vanishes."""
    return [(i, j, k) for i in range(o) for j in range(i + 1) for k in range(j + 1) if i != k]


def _denominator(inputs: TripleInputs, i: int, j: int, k: int) -> Tensor:
    e_o, e_v = inputs.e_o, inputs.e_v
    return e_o[i] + e_o[j] + e_o[k] - e_v[:, None, None] - e_v[:, None] - e_v
