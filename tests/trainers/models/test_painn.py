"""PaiNN against the equations of its paper, written out pair by pair."""

import math
from itertools import pairwise

import pytest
import torch
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS, graph_of, positions, rotation
from torch import Tensor, nn

from forgefield.trainers.model_settings import Fade, PaiNNSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.models.painn import SOFT, PaiNN

LAYERS, WIDTH, RADIAL = 3, 8, 5


@pytest.fixture(params=["smooth", "cosine"])
def model(request: pytest.FixtureRequest) -> PaiNN:
    fade: Fade = request.param
    torch.manual_seed(0)
    settings = PaiNNSettings(
        cutoff=CUTOFF, elements=ELEMENTS, layers=LAYERS, channels=WIDTH, radial=RADIAL, fade=fade
    )
    made = PaiNN(settings).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def cutoff_function(r: float, fade: str) -> float:
    """The paper's ½(cos(πr/r_c) + 1), or ours."""
    u = r / CUTOFF
    if fade == "cosine":
        return 0.5 * (math.cos(math.pi * u) + 1)
    return 1 - 10 * u**3 + 15 * u**4 - 6 * u**5


def perceptron(layers: nn.Sequential, x: Tensor) -> Tensor:
    first, last = layers[0], layers[2]
    hidden = first.weight @ x + first.bias
    return last.weight @ (hidden * torch.sigmoid(hidden)) + last.bias


def literal_energy(model: PaiNN, x: Tensor, fade: str) -> Tensor:
    """Eqs. 5-10 with loops over atoms and neighbours; s (C,), v (C, 3) of each atom."""
    rows = [ELEMENTS.index(int(number)) for number in NUMBERS]
    s = [model.embedding.weight[row] for row in rows]
    v = [torch.zeros(WIDTH, 3, dtype=torch.float64) for _ in rows]
    for message, update in zip(model.messages, model.updates, strict=True):
        after_s, after_v = list(s), list(v)
        for i in range(len(rows)):
            for j in range(len(rows)):
                r_ij = x[j] - x[i]
                r = float(r_ij.norm())
                if i == j or r >= CUTOFF:
                    continue
                waves = [math.sin(n * math.pi * r / CUTOFF) / r for n in range(1, RADIAL + 1)]
                rbf = torch.tensor(waves, dtype=torch.float64) * math.sqrt(2 / CUTOFF)
                w = message.filter.weight[:, :-1] @ rbf + message.filter.weight[:, -1]
                w = w * cutoff_function(r, fade)
                phi = perceptron(message.send, s[j]) * w
                after_s[i] = after_s[i] + phi[:WIDTH]
                after_v[i] = after_v[i] + phi[WIDTH : 2 * WIDTH, None] * (r_ij / r)
                if len(phi) == 3 * WIDTH:
                    after_v[i] = after_v[i] + phi[2 * WIDTH :, None] * v[j]
        s, v = after_s, after_v
        for i in range(len(rows)):
            u_v, v_v = update.mix.weight[:WIDTH] @ v[i], update.mix.weight[WIDTH:] @ v[i]
            norm = torch.sqrt((v_v * v_v).sum(dim=1) + SOFT**2)
            a = perceptron(update.gate, torch.cat([s[i], norm]))
            s[i] = s[i] + a[:WIDTH] + a[WIDTH : 2 * WIDTH] * (u_v * v_v).sum(dim=1)
            if len(a) == 3 * WIDTH:
                v[i] = v[i] + a[2 * WIDTH :, None] * u_v
    return sum((perceptron(model.readout, one) for one in s), torch.zeros(1).double())


def test_energy_and_forces_are_those_of_the_equations(
    model: PaiNN, request: pytest.FixtureRequest
) -> None:
    fade = request.node.callspec.params["model"]
    x, step = positions(2), 1e-5
    energy, forces = energy_and_forces(model, graph_of(x))
    with torch.no_grad():
        torch.testing.assert_close(energy, literal_energy(model, x, fade), rtol=1e-11, atol=1e-12)
        for atom, axis in ((0, 0), (3, 2)):
            move = torch.zeros_like(x)
            move[atom, axis] = step
            ends = [literal_energy(model, x + sign * move, fade) for sign in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * step)
            torch.testing.assert_close(-slope[0], forces[atom, axis], rtol=1e-6, atol=1e-8)
    assert forces.abs().max() > 0.01


def test_vectors_turn_with_the_molecule(model: PaiNN) -> None:
    """Inside the network too: what the last message leaves is a vector, not only the forces."""
    seen: list[Tensor] = []
    last = model.messages[-1]
    last.register_forward_hook(lambda _module, _inputs, output: seen.append(output[1].detach()))
    turn = rotation(3, mirror=True)
    for x in (positions(), positions() @ turn.T):
        energy_and_forces(model, graph_of(x))
    before, after = seen
    assert before.abs().max() > 0.01
    torch.testing.assert_close(after, torch.einsum("xy,ayc->axc", turn, before))


def test_every_weight_acts(model: PaiNN) -> None:
    _, forces = energy_and_forces(model, graph_of(positions()), training=True)
    forces.square().sum().backward()
    for name, weight in model.named_parameters():
        if not name.startswith("readout.2.bias"):
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name


def test_forces_are_smooth_where_symmetry_makes_vectors_vanish(model: PaiNN) -> None:
    """An atom amid a square: moved through the middle, its force is straight, without a step."""
    square = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], dtype=torch.float64)
    found = []
    for along in (-2e-4, -1e-4, 0.0, 1e-4, 2e-4):
        middle = torch.tensor([[along, 0, 0]], dtype=torch.float64)
        graph = graph_of(torch.cat([middle, square]), numbers=torch.tensor([6, 1, 1, 1, 1]))
        found.append(float(energy_and_forces(model, graph)[1][0, 0]))
    slopes = [after - before for before, after in pairwise(found)]
    assert abs(found[2]) < 1e-10
    assert max(slopes) - min(slopes) < 0.05 * max(abs(slope) for slope in slopes)
