"""(T) and its derivatives against differences, other kernels and PySCF-free imports."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from forgefield.labelers.coupled_cluster import triple_adjoints, triple_sweep
from forgefield.labelers.coupled_cluster.triple_kernels import TorchKernels
from forgefield.labelers.coupled_cluster.triples import (
    TripleInputs,
    triples_derivatives,
    triples_energy,
)

O, V = 4, 7
STEP = 1e-4


def symmetric(name: str, x: torch.Tensor) -> torch.Tensor:
    """`x` with the symmetry that integrals and doubles of that name have."""
    if name == "t2":
        return x + x.permute(1, 0, 3, 2)
    if name == "ovvv":
        return x + x.transpose(2, 3)
    if name == "ooov":
        return x + x.transpose(0, 1)
    return x + x.permute(2, 3, 0, 1) if name == "ovov" else x


def made_up(o: int = O, v: int = V, seed: int = 1) -> TripleInputs:
    generator = torch.Generator().manual_seed(seed)

    def random(name: str, *shape: int) -> torch.Tensor:
        x = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return symmetric(name, 0.05 * x)

    return TripleInputs(
        t1=random("t1", o, v),
        t2=random("t2", o, o, v, v),
        ovvv=random("ovvv", o, v, v, v),
        ooov=random("ooov", o, o, o, v),
        ovov=random("ovov", o, v, o, v),
        e_o=-2 + torch.rand(o, generator=generator, dtype=torch.float64),
        e_v=1 + torch.rand(v, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("name", ["t1", "t2", "ovvv", "ooov", "ovov", "e_o", "e_v"])
def test_every_derivative_is_a_slope_of_the_energy(name: str) -> None:
    inputs = made_up()
    found = triples_derivatives(inputs)
    tensor = getattr(inputs, name)
    torch.manual_seed(0)
    direction = symmetric(name, torch.randn_like(tensor))
    ahead, behind = (
        triples_energy(replace(inputs, **{name: tensor + sign * STEP * direction}))
        for sign in (1, -1)
    )
    by_name = found._asdict() | {"e_o": found.f_oo.diagonal(), "e_v": found.f_vv.diagonal()}
    slope = (by_name[name] * direction).sum().item()
    assert abs(slope) > 1e-2
    assert (ahead - behind) / (2 * STEP) == pytest.approx(slope, abs=1e-8)
    assert found.energy == pytest.approx(triples_energy(inputs), abs=1e-12)


def test_energy_is_the_textbook_sum() -> None:
    """⅓ Σ over all i, j, k of (4W + W_bca + W_cab)(V − V_cba)/D, all spelt out by einsum."""
    x = made_up()
    connected = torch.einsum("iabf,kjcf->ijkabc", x.ovvv, x.t2)
    connected -= torch.einsum("jmia,mkbc->ijkabc", x.ooov, x.t2)
    w = sum(
        connected.permute(*p, *(3 + q for q in p))
        for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    )
    single = torch.einsum("iajb,kc->ijkabc", x.ovov, x.t1)
    v = w + single + single.permute(0, 2, 1, 3, 5, 4) + single.permute(2, 1, 0, 5, 4, 3)
    e = x.e_o
    denominator = (e[:, None, None] + e[:, None] + e)[..., None, None, None]
    denominator = denominator - (x.e_v[:, None, None] + x.e_v[:, None] + x.e_v)
    spun = 4 * w + w.permute(0, 1, 2, 4, 5, 3) + w.permute(0, 1, 2, 5, 3, 4)
    energy = (spun * (v - v.transpose(3, 5)) / denominator).sum() / 3
    assert triples_energy(x) == pytest.approx(energy.item(), rel=1e-12)


def test_torch_and_compiled_kernels_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of GPUs, run on the processor."""
    compiled = triples_derivatives(made_up(3, 19))
    monkeypatch.setattr(triple_sweep, "kernels_for", lambda _: TorchKernels())
    plain = triples_derivatives(made_up(3, 19))
    for one, other in zip(compiled[1:], plain[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same() -> None:
    inputs = made_up(5, 30)
    on_gpu = TripleInputs(*(getattr(inputs, name).cuda() for name in TripleInputs.__slots__))
    for one, other in zip(
        triples_derivatives(inputs)[1:], triples_derivatives(on_gpu)[1:], strict=True
    ):
        torch.testing.assert_close(one, other.cpu(), rtol=0, atol=1e-11)


def test_both_ways_to_the_occupied_fock_matrix_agree() -> None:
    sweep = triple_sweep.Sweep(made_up())
    by_invariance = triples_derivatives(made_up()).f_oo
    for i in range(O):
        for j in range(i + 1):
            explicit = triple_adjoints._explicit(sweep, i, j).item()
            assert by_invariance[i, j].item() == pytest.approx(explicit, abs=1e-12)


def test_degenerate_orbitals_do_not_depend_on_how_they_are_mixed() -> None:
    """Any rotation of two orbitals of one energy leaves E(T) and turns its derivatives along."""
    inputs = made_up()
    energies = inputs.e_o.clone()
    energies[2] = energies[1]
    inputs = replace(inputs, e_o=energies)
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.eye(O, dtype=torch.float64)
    turn[1:3, 1:3] = torch.stack(
        (torch.stack((angle.cos(), angle.sin())), torch.stack((-angle.sin(), angle.cos())))
    )
    turned = replace(
        inputs,
        t1=torch.einsum("ia,ij->ja", inputs.t1, turn),
        t2=torch.einsum("ijab,ik,jl->klab", inputs.t2, turn, turn),
        ovvv=torch.einsum("iabc,ij->jabc", inputs.ovvv, turn),
        ooov=torch.einsum("ijka,il,jm,kn->lmna", inputs.ooov, turn, turn, turn),
        ovov=torch.einsum("iajb,ik,jl->kalb", inputs.ovov, turn, turn),
    )
    before, after = triples_derivatives(inputs), triples_derivatives(turned)
    assert after.energy == pytest.approx(before.energy, abs=1e-12)
    assert before.f_oo[1, 2].abs().item() > 1e-5
    torch.testing.assert_close(after.f_oo, turn.T @ before.f_oo @ turn, rtol=0, atol=1e-11)


def test_single_precision_is_close() -> None:
    double, single = made_up(5, 20), made_up(5, 20).to(torch.float32)
    exact, rough = triples_derivatives(double), triples_derivatives(single)
    for one, other in zip(exact[1:], rough[1:], strict=True):
        assert (one - other).abs().max() < 1e-5 * one.abs().max()


def test_triples_need_neither_pyscf_nor_ray() -> None:
    script = (
        "import sys; sys.modules['pyscf'] = sys.modules['ray'] = None\n"
        "import torch, forgefield.labelers.coupled_cluster.triples as t\n"
        "r = lambda *s: torch.rand(*s, dtype=torch.float64)\n"
        "x = t.TripleInputs(r(2, 3), r(2, 2, 3, 3), r(2, 3, 3, 3), r(2, 2, 2, 3),"
        " r(2, 3, 2, 3), -r(2), r(3))\n"
        "assert t.triples_derivatives(x).energy < 0"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603
