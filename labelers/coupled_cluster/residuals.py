"""The CCSD equations of a closed shell: correlation energy and residuals.

T. Helgaker, P. Jørgensen, J. Olsen, Molecular Electronic-Structure Theory (2000), section 13.7:
integrals dressed by the singles (their g̃ are `dressed` here), terms A to E of the doubles. Terms
with equal doubles are joined: what multiplies t_k^a t_l^b is what multiplies t_kl^ab, so both act
through τ. The virtual ladder works on packed pairs. f_ov is zero (Brillouin).

Everything is plain torch, so that its gradient gives the Λ equations and the densities, see
`lagrangian`.
"""

from torch import Tensor, einsum

from forgefield.labelers.coupled_cluster.blocks import Amplitudes, Blocks
from forgefield.labelers.coupled_cluster.ladder import particle_ladder


def correlation_energy(blocks: Blocks, t: Amplitudes) -> Tensor:
    """Σ [2(ia|jb) − (ib|ja)] τ_ij^ab, hartree."""
    exchange = 2.0 * blocks.ovov - blocks.ovov.transpose(1, 3)
    return (exchange.transpose(1, 2) * tau(t)).sum()


def tau(t: Amplitudes) -> Tensor:
    """τ_ij^ab = t_ij^ab + t_i^a t_j^b."""
    return t.two + t.one[:, None, :, None] * t.one[None, :, None, :]


def residuals(blocks: Blocks, t: Amplitudes) -> Amplitudes:
    """Ω_i^a and Ω_ij^ab, which vanish at the solution."""
    one, two = t
    pairs = tau(t)
    u = 2.0 * two - two.transpose(2, 3)
    coulomb_exchange = 2.0 * blocks.ovov - blocks.ovov.transpose(1, 3)

    # Integrals dressed by singles, and the mean field of the singles.
    through_vv = blocks.ovvv @ one.T  # [k,c,a,i] = t_i^d (kc|ad)
    through_ov = einsum("id,kdac->kiac", one, blocks.ovvv)  # t_i^d (kd|ac)
    ooov = blocks.ooov + einsum("id,kdlc->kilc", one, blocks.ovov)  # dressed (ki|lc)
    f_ov = einsum("kcld,ld->kc", coulomb_exchange, one)
    f_oo = blocks.f_oo + einsum("lc,kjlc->kj", one, 2.0 * blocks.ooov)
    f_oo = f_oo - einsum("lc,ljkc->kj", one, blocks.ooov) + f_ov @ one.T
    f_vv = blocks.f_vv + einsum("llbc->bc", 2.0 * through_ov) - einsum("lcbl->bc", through_vv)
    f_vv = f_vv - one.T @ f_ov
    f_vo = 2.0 * einsum("iald,ld->ia", blocks.ovov, one)
    f_vo = f_vo - einsum("liad,ld->ia", blocks.oovv, one)
    # The same with doubles in them (terms E).
    f_oo = f_oo + einsum("ljcd,kdlc->kj", u, blocks.ovov)
    f_vv_doubles = f_vv - einsum("klbd,ldkc->bc", u, blocks.ovov)

    # Pairs of virtual orbitals, ladders.
    half = einsum("ijcd,kcbd->kbij", pairs, blocks.ovvv)  # Σ τ_ij^cd (kc|bd)
    w_oooo = blocks.oooo + einsum("jc,kilc->kilj", one, blocks.ooov)
    w_oooo = w_oooo + einsum("ic,ljkc->kilj", one, blocks.ooov)
    w_oooo = w_oooo + einsum("ijcd,kcld->kilj", pairs, blocks.ovov)

    # Rings (terms C and D): x exchange-like, y Coulomb-like.
    dressed_ov = blocks.ovov + einsum("kcai->iakc", through_vv)
    dressed_ov = dressed_ov - einsum("ma,mikc->iakc", one, ooov)  # dressed (ai|kc)
    dressed_oo = blocks.oovv + through_ov - einsum("ma,kimc->kiac", one, ooov)  # (ki|ac)
    exchange_ring = dressed_oo - 0.5 * einsum("liad,kdlc->kiac", two, blocks.ovov)
    coulomb_ring = 2.0 * dressed_ov - dressed_oo.permute(1, 2, 0, 3)
    coulomb_ring = coulomb_ring + 0.5 * einsum("ilad,ldkc->iakc", u, coulomb_exchange)
    c = einsum("kjbc,kiac->ijab", two, exchange_ring)
    d = 0.5 * einsum("jkbc,iakc->ijab", u, coulomb_ring)

    singles = einsum("kaki->ia", 2.0 * half) - einsum("kaik->ia", half)
    singles = singles + one @ blocks.f_vv.T + f_vo - f_oo.T @ one
    singles = singles - einsum("klac,kilc->ia", u, ooov) + einsum("ikac,kc->ia", u, f_ov)

    single_holes = half + einsum("kijb->kbij", ooov) + einsum("jd,kibd->kbij", one, blocks.oovv)
    doubles = d - 0.5 * c - c.transpose(0, 1)
    doubles = doubles + einsum("ijac,bc->ijab", two, f_vv_doubles)
    doubles = doubles - einsum("ikab,kj->ijab", two, f_oo)
    doubles = doubles + einsum("jbai->ijab", through_vv)
    doubles = doubles - einsum("ka,kbij->ijab", one, single_holes)
    doubles = doubles + doubles.permute(1, 0, 3, 2)
    doubles = doubles + blocks.ovov.transpose(1, 2) + einsum("klab,kilj->ijab", pairs, w_oooo)
    return Amplitudes(singles, doubles + particle_ladder(pairs, blocks.vvvv))
