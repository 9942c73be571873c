"""SchNet against torch-geometric's: the same weights give the same energies and forces."""

import math

import pytest
import torch
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS, graph_of, positions
from torch import Tensor
from torch_geometric.nn.models import SchNet as Reference

from forgefield.trainers.model_settings import SchNetSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.models.bases import cosine_envelope, envelope
from forgefield.trainers.models.schnet import SchNet

SIZES = {"layers": 3, "channels": 16, "filters": 12, "radial": 10}
SETTINGS = SchNetSettings(cutoff=CUTOFF, elements=ELEMENTS, fade="cosine", **SIZES)


def near_pairs(x: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    """What torch-geometric takes from torch-cluster, which needn't be installed."""
    distance = torch.cdist(x.detach(), x.detach())
    near = (distance < CUTOFF) & (batch[:, None] == batch) & ~torch.eye(len(x), dtype=torch.bool)
    pair = near.nonzero().T
    return pair, (x[pair[0]] - x[pair[1]]).norm(dim=1)


def reference() -> Reference:
    torch.manual_seed(0)
    model = Reference(16, 12, 3, 10, CUTOFF, interaction_graph=near_pairs)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.1)
    return model


def with_all_digits(theirs: Reference, model: SchNet) -> None:
    """Two constants of theirs are rounded to float32, whatever the weights are."""
    theirs.distance_expansion.coeff = -0.5 * model.radial.sharpness**2
    for module in theirs.modules():
        if hasattr(module, "shift"):
            assert module.shift == pytest.approx(math.log(2), rel=1e-6)
            module.shift = math.log(2)


def ours(theirs: Reference) -> SchNet:
    """Their weights under our names."""
    model = SchNet(SETTINGS)
    found = {"embedding.weight": theirs.embedding.weight[list(ELEMENTS)]}
    places = [("readout.0", theirs.lin1), ("readout.2", theirs.lin2)]
    for number, block in enumerate(theirs.interactions):
        layer = f"layers.{number}"
        places += [
            (f"{layer}.filter.0", block.mlp[0]),
            (f"{layer}.filter.2", block.mlp[2]),
            (f"{layer}.before", block.conv.lin1),
            (f"{layer}.after.0", block.conv.lin2),
            (f"{layer}.after.2", block.lin),
        ]
    for name, linear in places:
        found |= {f"{name}.{key}": value for key, value in linear.state_dict().items()}
    model.load_state_dict(found)
    return model


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_energies_and_forces_are_those_of_torch_geometric(dtype: torch.dtype, close: float) -> None:
    theirs = reference()
    model = ours(theirs).to(dtype)
    with_all_digits(theirs.to(dtype), model)
    graph = graph_of(positions(0).to(dtype), positions(1).to(dtype))
    energy, forces = energy_and_forces(model, graph)
    x = graph.positions_A3.detach().clone().requires_grad_()
    expected = theirs(NUMBERS.repeat(2), x, graph.frame_A).squeeze(1)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(energy, expected.detach(), rtol=close, atol=close)
    torch.testing.assert_close(forces, -slope, rtol=close, atol=close)
    assert forces.abs().max() > 0.01
    assert (energy[0] - energy[1]).abs() > 0.01


def test_both_have_the_same_number_of_weights_beyond_the_embedding() -> None:
    model, theirs = SchNet(SETTINGS), reference()
    count = [sum(weight.numel() for weight in one.parameters()) for one in (model, theirs)]
    assert count[0] - model.embedding.weight.numel() == count[1] - theirs.embedding.weight.numel()


def test_only_the_smooth_envelope_has_a_second_derivative_at_the_cutoff() -> None:
    u = torch.tensor([1 - 1e-6], dtype=torch.float64, requires_grad=True)
    bends = []
    for fade in (envelope, cosine_envelope):
        (slope,) = torch.autograd.grad(fade(u), u, create_graph=True)
        bends.append(float(torch.autograd.grad(slope, u)[0]))
        assert fade(u.detach()).abs() < 1e-10
        assert fade(u.detach() + 1) == 0
    assert abs(bends[0]) < 1e-3
    assert bends[1] == pytest.approx(torch.pi**2 / 2, rel=1e-4)
