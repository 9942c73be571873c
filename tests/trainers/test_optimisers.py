"""Muon moves as torch's own does; its state is complete."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from forgefield.trainers.fitting.flat import FlatParameters
from forgefield.trainers.fitting.optimisers import (
    NOT_TURNED,
    Muon,
    optimiser_for,
    orthogonalised,
)
from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.models import build
from forgefield.trainers.settings import FitSettings

SETTINGS = FitSettings(optimiser="muon", rate=0.02, weight_decay=0.1, momentum=0.9)


class Layers(nn.Module):
    """Maps, a table and a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 4)
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 4)
        self.third = nn.Linear(4, 6, bias=False)
        self.readout = nn.Linear(4, 1)


def made() -> Layers:
    torch.manual_seed(0)
    return Layers()


def gradients(count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(1))


def test_matrices_move_as_by_torchs_muon_and_the_rest_as_by_adamw() -> None:
    ours, theirs = made(), made()
    flat = FlatParameters(ours)
    optimiser = optimiser_for(flat, ours, SETTINGS)
    named = dict(theirs.named_parameters())
    turned = [named[f"{name}.weight"] for name in ("first", "second", "third")]
    rest = [p for p in named.values() if all(p is not t for t in turned)]
    reference = (
        torch.optim.Muon(
            turned,
            lr=0.02,
            weight_decay=0.1,
            momentum=0.9,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(rest, lr=0.02, weight_decay=0.1),
    )
    for gradient in gradients(5, len(flat.values)):
        flat.gradient.copy_(gradient)
        optimiser.step(0.02)
        start = 0
        for p in named.values():
            p.grad = gradient[start : start + p.numel()].view_as(p).clone()
            start += p.numel()
        for each in reference:
            each.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=2e-2, atol=2e-3)


def test_matrices_turned_together_move_as_one_by_one() -> None:
    """Stacks count as many matrices; NequIP has both kinds."""
    torch.manual_seed(0)
    model = build(NequIPSettings(layers=2, channels=(6, 4, 2), species=3, elements=(1, 6, 8)))
    flat = FlatParameters(model)
    settings = SETTINGS.model_copy(update={"weight_decay": 0.0, "momentum": 0.0})
    gradient = gradients(1, len(flat.values))[0]
    before = [part.detach().clone() for part in flat.parts]
    flat.gradient.copy_(gradient)
    own = [part.grad.clone() for part in flat.parts if part.grad is not None]
    optimiser_for(flat, model, settings).step(0.02)
    turned = []
    for (name, part), start, slope in zip(model.named_parameters(), before, own, strict=True):
        if part.ndim < 2 or name.split(".")[0] in NOT_TURNED:
            continue
        shape = part.shape[-2:]
        for now, then, one in zip(
            part.view(-1, *shape), start.view(-1, *shape), slope.view(-1, *shape), strict=True
        ):
            move = -0.02 * 0.2 * max(shape) ** 0.5 * orthogonalised(one[None])[0]
            torch.testing.assert_close(now.detach() - then, move, rtol=1e-4, atol=1e-6)
        turned.append(len(part.view(-1, *shape)))
    assert set(turned) == {1, 3}


def test_rest_scales_the_rate_of_what_is_no_matrix() -> None:
    moved = []
    for rest in (1.0, 0.25):
        model = made()
        flat = FlatParameters(model)
        before = flat.values.detach().clone()
        settings = SETTINGS.model_copy(update={"rest": rest, "weight_decay": 0.0})
        flat.gradient.copy_(gradients(1, len(before))[0])
        optimiser_for(flat, model, settings).step(0.02)
        moved.append(flat.values.detach() - before)
    table = slice(0, 12)
    torch.testing.assert_close(moved[1][table], 0.25 * moved[0][table])
    torch.testing.assert_close(moved[1][12:36], moved[0][12:36])


@pytest.mark.parametrize("shape", [(2, 5, 8), (3, 8, 5)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_a_restored_state_goes_on_with_the_same_bits() -> None:
    model = made()
    flat = FlatParameters(model)
    optimiser = optimiser_for(flat, model, SETTINGS)
    assert isinstance(optimiser, Muon)
    many = gradients(4, len(flat.values))
    for gradient in many[:2]:
        flat.gradient.copy_(gradient)
        optimiser.step(0.02)
    values = flat.values.detach().clone()
    kept = {name: tensor.clone() for name, tensor in optimiser.state().items()}
    ends = []
    for _ in range(2):
        again = made()
        other = FlatParameters(again)
        other.values.data.copy_(values)
        fresh = optimiser_for(other, again, SETTINGS)
        fresh.restore({name: tensor.clone() for name, tensor in kept.items()})
        for gradient in many[2:]:
            other.gradient.copy_(gradient)
            fresh.step(0.02)
        ends.append(other.values.detach().clone().numpy())
    for gradient in many[2:]:
        flat.gradient.copy_(gradient)
        optimiser.step(0.02)
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], flat.values.detach().numpy())
