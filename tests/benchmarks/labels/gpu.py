"""Seconds and memory of the engine's tensor parts at the sizes of real molecules.

    python tests/benchmarks/labels/gpu.py [--size aspirin] [--device cuda] [--precision float64]

Made-up integrals of the right shapes, so that neither PySCF nor a molecule is needed: one CCSD
iteration, one Λ iteration and the whole of (T) with its derivatives. Sizes are those of frozen-
core cc-pVDZ. On a processor aspirin takes hours; take ethanol there.
"""

import argparse
import time
from collections.abc import Callable

import torch

from forgefield.labelers.coupled_cluster.blocks import Amplitudes, Blocks
from forgefield.labelers.coupled_cluster.ladder import Ladder
from forgefield.labelers.coupled_cluster.lagrangian import _stationarity
from forgefield.labelers.coupled_cluster.residuals import residuals
from forgefield.labelers.coupled_cluster.triples import TripleInputs, triples_derivatives

SIZES = {"ethanol": (10, 59), "malonaldehyde": (14, 71), "benzene": (15, 93), "aspirin": (34, 175)}


def main() -> None:
    """Time each part and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="aspirin")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["float64", "float32"], default="float64")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    inputs = iterations(*SIZES[asked.size], device).to(getattr(torch, asked.precision))
    timed(f"(T) with derivatives, {asked.precision}", device, lambda: triples_derivatives(inputs))


def iterations(o: int, v: int, device: torch.device) -> TripleInputs:
    """Time one iteration of t and one of λ; what the triples need of the same integrals."""
    blocks = made_up(o, v, device)
    t = Amplitudes(1e-2 * torch.rand_like(blocks.gaps.one), -blocks.ovov.transpose(1, 2) / 10)
    with torch.no_grad():
        timed("CCSD residual", device, lambda: residuals(blocks, t), repeat=3)
    equations = _stationarity(blocks, t, None)
    timed("Λ residual", device, lambda: equations(t), repeat=3)
    return TripleInputs(t.one, t.two, blocks.ovvv, blocks.ooov, blocks.ovov, blocks.e_o, blocks.e_v)


def made_up(o: int, v: int, device: torch.device) -> Blocks:
    """Small random integrals with gaps like a molecule's."""

    def random(*shape: int) -> torch.Tensor:
        return 1e-2 * torch.rand(shape, device=device, dtype=torch.float64)

    pairs = v * (v + 1) // 2
    return Blocks(
        f_oo=torch.diag(-1.5 + torch.linspace(0, 1, o, device=device, dtype=torch.float64)),
        f_vv=torch.diag(0.2 + torch.linspace(0, 3, v, device=device, dtype=torch.float64)),
        oooo=random(o, o, o, o),
        ooov=random(o, o, o, v),
        oovv=random(o, o, v, v),
        ovov=random(o, v, o, v),
        ovvv=random(o, v, v, v),
        vvvv=Ladder(random(pairs, pairs), random(pairs - v, pairs - v)),
    )


def timed(words: str, device: torch.device, work: Callable[[], object], repeat: int = 1) -> None:
    """Print the shortest time and the peak of device memory so far."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else float("nan")
    print(f"{words:32s} {best:9.2f} s  peak {peak:6.1f} GB on the device")


if __name__ == "__main__":
    main()
