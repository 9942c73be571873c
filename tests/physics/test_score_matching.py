"""Score matching learns the force field that sampled the frames, from positions alone."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.units import EV_PER_KELVIN
from forgefield.trainers.fitting.fit import fit
from forgefield.trainers.fitting.objectives import Scores, directions, score_losses
from forgefield.trainers.graphs import Graph, GraphSet
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.models import Potential, build, energy_and_forces
from forgefield.trainers.settings import FitSettings

KT = EV_PER_KELVIN * 500


def unlabelled(positions_FA3: Array, numbers: tuple[int, ...]) -> Frames:
    """Frames with energies that mean nothing and without forces."""
    origin = Provenance("walk", "1", "here", 1, 0.1, 0.1)
    method = Method(Tier.DFT, "unknown")
    stored = [
        StoredFrame(
            place,
            Job(Configuration("m", numbers, x_A3), method, Purpose.TRAIN),
            Label(0.0, None, origin),
            1,
        )
        for place, x_A3 in enumerate(positions_FA3, 1)
    ]
    return from_stored(stored)


@pytest.fixture
def model() -> Potential:
    """A network with a strong curvature: a fresh one is nearly flat."""
    torch.manual_seed(0)
    settings = EGNNSettings(layers=2, channels=8, radial=6, cutoff=4.0, elements=(1, 8))
    network = build(settings).double()
    for weight in network.parameters():
        weight.data.mul_(2.5)
    return network


def copies(count: int) -> tuple[Graph, Tensor]:
    """One bent molecule, `count` times in one graph, and the frames' places."""
    one = np.array([[0.0, 0.0, 0.1], [0.9, 0.2, 0.0], [-0.4, 0.9, 0.3]])
    graphs = GraphSet(
        unlabelled(np.repeat(one[None], count, axis=0), (8, 1, 1)), 4.0, dtype=torch.float64
    )
    return graphs.batch(np.arange(count)).graph, torch.arange(count)


def test_all_slices_together_are_the_exact_trace(model: Potential) -> None:
    """The mean over all 2⁹ directions against −Σ_i ∂²E/∂x_i² from differences of forces."""
    graph, _ = copies(512)
    signs = (torch.arange(512)[:, None] >> torch.arange(9)) % 2 * 2.0 - 1
    sliced = score_losses(model, graph, (signs.reshape(-1, 3).double(),), 0.7).mean()
    single, _ = copies(1)
    force_A3 = energy_and_forces(model, single)[1]
    trace, step = 0.0, 1e-5
    for place in range(9):
        ends = []
        for sign in (1, -1):
            graph, _ = copies(1)
            graph.positions_A3.view(-1)[place] += sign * step
            ends.append(float(energy_and_forces(model, graph)[1].view(-1)[place]))
        trace += (ends[0] - ends[1]) / (2 * step)
    exact = (0.7 * trace + 0.5 * float(force_A3.square().sum())) / 9
    assert abs(trace) > 0.1
    assert float(sliced.detach()) == pytest.approx(exact, rel=1e-7)


def test_the_gradient_for_the_parameters_is_right(model: Potential) -> None:
    """Three derivatives of the network, one of them by differences here."""
    graph, index = copies(4)
    objective = Scores(0.3, seed=3, slices=2)
    extra = objective.draw(graph, index, 7)

    def loss() -> Tensor:
        return score_losses(model, copies(4)[0], extra, 0.3).sum()

    for name, weight in model.named_parameters():
        (slope,) = torch.autograd.grad(loss(), weight, allow_unused=True)
        if slope is None or slope.abs().max() < 1e-6:
            continue
        place = int(slope.abs().argmax())
        ends = []
        for change in (1e-5, -2e-5):
            weight.data.view(-1)[place] += change
            ends.append(float(loss().detach()))
        weight.data.view(-1)[place] += 1e-5
        found = (ends[0] - ends[1]) / 2e-5
        assert float(slope.view(-1)[place]) == pytest.approx(found, rel=1e-5), name


def test_directions_follow_from_seed_step_and_frame_alone() -> None:
    graph, index = copies(400)
    all_A3 = directions(graph, index, (1, 5))
    assert set(all_A3.unique().tolist()) == {-1.0, 1.0}
    some, _ = copies(2)
    few_A3 = directions(some, torch.tensor([17, 3]), (1, 5))
    assert torch.equal(few_A3, torch.cat([all_A3[51:54], all_A3[9:12]]))
    for other in ((1, 6), (2, 5), (5, 1), (1, 5, 0)):
        assert not torch.equal(directions(graph, index, other), all_A3)


def test_directions_are_as_if_drawn_independently() -> None:
    """E[v vᵀ] = 1 over frames, and over steps of one frame: 4 σ of 4000 draws."""
    graph, _ = copies(100)
    over_frames = torch.cat(
        [directions(graph, torch.arange(100) + 100 * k, (0, 0)).view(100, 9) for k in range(40)]
    )
    over_steps = torch.cat(
        [directions(graph, torch.zeros(100).long(), (0, k)).view(100, 9)[:1] for k in range(4000)]
    )
    for draws in (over_frames, over_steps):
        moment = draws.T @ draws / len(draws) - torch.eye(9)
        assert moment.abs().max() < 4 * len(draws) ** -0.5
        assert draws.mean(dim=0).abs().max() < 4 * len(draws) ** -0.5


class Well(Potential):
    """½ k |x|² for every atom, in the model's units: k is 1/Å."""

    def __init__(self) -> None:
        super().__init__(EGNNSettings(elements=(1,)))
        self.k = nn.Parameter(torch.tensor(0.1))

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, 1)."""
        return 0.5 * self.k * graph.positions_A3.square().sum(dim=1, keepdim=True)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_harmonic_well_gives_back_its_spring_constant(scale: float) -> None:
    """Normal x of variance kT/k₀ tells k₀ = 3 eV/Å² whatever the force scale, and its sign."""
    spread = (KT / 3.0) ** 0.5
    positions = np.random.default_rng(0).normal(scale=spread, size=(4000, 1, 3))
    graphs = GraphSet(unlabelled(positions, (1,)), 5.0)
    settings = FitSettings(
        steps=400, batch=500, rate=0.05, warm_up=1, weight_decay=0, ema=0.9, compiled=False
    )
    model = Well()
    fit(model, graphs, None, settings, scale=scale, objective=Scores(KT / scale))
    sampled = KT / np.mean(positions**2)
    assert float(model.k.detach()) * scale == pytest.approx(sampled, rel=0.005)
    assert sampled == pytest.approx(3.0, rel=0.05)


def test_a_network_learns_a_bond_without_seeing_a_label() -> None:
    """p(r) ∝ r² exp(−½k(r − r₀)²/kT): the r² is the room there is, not a force."""
    spring, rest, scale = 20.0, 1.3, 2.0
    grid = np.linspace(0.9, 1.7, 4001)
    density = grid**2 * np.exp(-0.5 * spring * (grid - rest) ** 2 / KT)
    generator = np.random.default_rng(1)
    length = np.interp(generator.random(3000), np.cumsum(density) / density.sum(), grid)
    way = generator.normal(size=(3000, 3))
    way *= (length / np.linalg.norm(way, axis=1))[:, None]
    positions = np.stack([np.zeros_like(way), way], axis=1)
    settings = EGNNSettings(layers=1, channels=16, radial=12, cutoff=4.0, elements=(1,), move=False)
    torch.manual_seed(0)
    model = build(settings)
    graphs = GraphSet(unlabelled(positions, (1, 1)), 4.0)
    plan = FitSettings(steps=600, batch=150, rate=1e-2, warm_up=20, ema=0.98, compiled=False)
    fit(model, graphs, None, plan, scale=scale, objective=Scores(KT / scale, slices=2))
    probe = np.linspace(rest - 0.06, rest + 0.06, 7)
    line = np.zeros((7, 2, 3))
    line[:, 1, 0] = probe
    graph = GraphSet(unlabelled(line, (1, 1)), 4.0).batch(np.arange(7)).graph
    pull = energy_and_forces(model, graph)[1][1::2, 0].numpy() * scale
    slope, offset = np.polyfit(probe - rest, pull, 1)
    assert slope == pytest.approx(-spring, rel=0.12)
    assert offset == pytest.approx(0.0, abs=0.05)
