"""The toy experiment of ASTEROID (arXiv 2306.03109, section 2): bias-aware beats standard.

Y = AX; 2000 cheap samples carry Y = AX + b with b ∈ {0, 2, 4, 8, 16}, 400 each, and ten are
accurate. A two-layer network of 128 trained on the ten alone tells the bias roughly;
w = exp(−B/γ) does the rest.
"""

import pytest
import torch
from torch import Tensor, nn

from forgefield.trainers.stages.weighting import weights

SIZE, CHEAP, FEW = 4, 2000, 10
BIASES = (0.0, 2.0, 4.0, 8.0, 16.0)


def train(
    x: Tensor, y: Tensor, weight: Tensor, steps: int, start: nn.Module | None = None
) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(SIZE, 128), nn.ReLU(), nn.Linear(128, SIZE))
    if start is not None:
        model.load_state_dict(start.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        (weight[:, None] * (model(x) - y).square()).mean().backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("seed", [0, 1])
def test_bias_aware_pretraining_beats_standard_and_unweighted(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(SIZE, SIZE, generator=generator)
    cheap, few, test = (torch.randn(n, SIZE, generator=generator) for n in (CHEAP, FEW, 500))
    offset = torch.tensor(BIASES).repeat_interleave(CHEAP // len(BIASES))
    labels = cheap @ matrix + offset[:, None]
    alike = torch.ones(FEW)
    teacher = train(few, few @ matrix, alike, 300)
    bias = (teacher(cheap) - labels).abs().mean(dim=1).detach().double().numpy()
    aware = torch.from_numpy(weights(bias, 0.2).weight_F).float()

    def error(model: nn.Module) -> float:
        return float((model(test) - test @ matrix).abs().mean().detach())

    pretrained = {
        name: train(cheap, labels, weight, 300)
        for name, weight in (("unweighted", torch.ones(CHEAP)), ("aware", aware))
    }
    tuned = {
        name: error(train(few, few @ matrix, alike, 100, start))
        for name, start in pretrained.items()
    }
    assert error(pretrained["aware"]) < 0.3 * error(pretrained["unweighted"])
    assert tuned["aware"] < 0.7 * tuned["unweighted"]
    assert tuned["aware"] < 0.7 * error(teacher)
