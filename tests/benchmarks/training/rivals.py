"""Independent implementations, at the sizes of our models, on the same batch.

Both get their pairs of atoms for nothing and the loss of our own fits, and take a step of AdamW
without clipping or moving average. `torch_geometric`'s SchNet runs here, the `nequip` package in
an environment of its own, in a process that is asked for so many repetitions at a time.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from stopwatch import Spent, Work, repeated
from torch import Tensor

from forgefield.trainers.fitting.losses import loss_sum
from forgefield.trainers.graphs import Batch, Graph
from forgefield.trainers.model_settings import NequIPSettings, SchNetSettings

CHILD = Path(__file__).with_name("nequip_speed_child.py")
TESTS = Path(__file__).resolve().parents[2]


class GeometricSchNet:
    """torch_geometric's class."""

    def __init__(self, settings: SchNetSettings, device: str) -> None:
        from torch_geometric.nn.models import SchNet

        torch.manual_seed(0)
        self.device = device
        self.pairs = torch.empty(2, 0, dtype=torch.int64)
        self.model = SchNet(
            settings.channels,
            settings.filters,
            settings.layers,
            settings.radial,
            settings.cutoff,
            interaction_graph=self._near,
        ).to(device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    @property
    def parameters(self) -> int:
        """Their number."""
        return sum(one.numel() for one in self.model.parameters())

    def training(self, batch: Batch) -> Work:
        """Steps of training."""
        pairs = pairs_of(batch.graph)

        def step() -> None:
            self.optimiser.zero_grad()
            found = self._energy_and_forces(batch.graph, pairs, training=True)
            loss = loss_sum(*found, batch, rho=0.001, norm="huber") / batch.graph.frames
            loss.backward()
            self.optimiser.step()

        return repeated(step, self.device)

    def prediction(self, graph: Graph) -> Work:
        """Energies and forces of a batch."""
        pairs = pairs_of(graph)
        return repeated(lambda: self._energy_and_forces(graph, pairs), self.device)

    def _energy_and_forces(
        self, graph: Graph, pairs: Tensor, *, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        self.pairs = pairs
        x = graph.positions_A3.detach().requires_grad_()
        energy_F = self.model(graph.numbers, x, graph.frame_A).squeeze(1)
        (slope_A3,) = torch.autograd.grad(energy_F.sum(), x, create_graph=training)
        return energy_F, -slope_A3

    def _near(self, x: Tensor, frame_A: Tensor) -> tuple[Tensor, Tensor]:
        del frame_A
        gap = x.index_select(0, self.pairs[0]) - x.index_select(0, self.pairs[1])
        return self.pairs, gap.square().sum(dim=1).sqrt()


class NequipPackage:
    """A process with the package; `mode` is `eager` or `compile`, its own two ways to train."""

    def __init__(self, python: Path, settings: NequIPSettings, batch: Batch, mode: str) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            given = Path(scratch) / "batch.npz"
            np.savez(given, settings=settings.model_dump_json(), **_arrays(batch))
            threads, device = str(torch.get_num_threads()), str(batch.energy_F.device)
            self.process = subprocess.Popen(
                [python, "-W", "ignore", CHILD, given, mode, threads, device],
                env=os.environ | {"PYTHONPATH": str(TESTS)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self.parameters = int(self._reply()["parameters"])

    def work(self, what: str) -> Work:
        """`training` or `prediction`, on the batch that it was given."""

        def work(times: int) -> Spent:
            self._pipe(self.process.stdin).write(f"{what} {times}\n")
            self._pipe(self.process.stdin).flush()
            return Spent(**self._reply())

        return work

    def close(self) -> None:
        """Let the process end."""
        self._pipe(self.process.stdin).close()
        self.process.wait()

    def _reply(self) -> dict[str, Any]:
        for line in self._pipe(self.process.stdout):
            if line.startswith("reply "):
                found: dict[str, Any] = json.loads(line.removeprefix("reply "))
                return found
        raise RuntimeError(f"the nequip process ended with {self.process.wait()}: run it by hand")

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def pairs_of(graph: Graph) -> Tensor:
    """(2, E): neighbour and atom of every slot in use."""
    atom, slot = (graph.shift_AK3[..., 0] == 0).nonzero(as_tuple=True)
    return torch.stack([graph.neighbour_AK[atom, slot], atom])


def _arrays(batch: Batch) -> dict[str, Any]:
    graph = batch.graph
    found = {
        "numbers": graph.numbers,
        "positions_A3": graph.positions_A3.detach(),
        "pairs": pairs_of(graph),
        "frame_A": graph.frame_A,
        "energy_F": batch.energy_F,
        "forces_A3": batch.forces_A3,
    }
    return {name: value.cpu().numpy() for name, value in found.items()}
