"""The toy experiment of ASTEROID (arXiv 2306.03109, section 2): bias-aware beats standard.

Y = A X with ten accurate samples; of 2000 cheap ones half carry a bias b, as in their fig. 1.
A small MLP trained on the accurate ones alone identifies the bias; w = exp(−B/γ) does the rest.
"""

import numpy as np
import torch
from torch import Tensor, nn

from forgefield.trainers.stages.weighting import weights


def train(
    x: Tensor, y: Tensor, weight: Tensor, steps: int, start: nn.Module | None = None
) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 4))
    if start is not None:
        model.load_state_dict(start.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        (weight[:, None] * (model(x) - y).square()).mean().backward()
        optimiser.step()
    return model


def test_weighted_pretraining_survives_biased_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 4, generator=generator)
    cheap, few, test = (torch.randn(n, 4, generator=generator) for n in (2000, 20, 500))
    biased = (torch.rand(2000, generator=generator) < 0.5).float()
    labels = cheap @ matrix + 8.0 * biased[:, None]
    teacher = train(few, few @ matrix, torch.ones(20), 300)
    bias = (teacher(cheap) - labels).abs().mean(dim=1).detach().double().numpy()
    aware = torch.from_numpy(weights(bias, 0.2).weight_F).float()
    errors = []

    def error(model: nn.Module) -> float:
        return float((model(test) - test @ matrix).abs().mean().detach())

    for weight in (torch.ones(2000), aware):
        start = train(cheap, labels, weight, 300)
        tuned = train(few, few @ matrix, torch.ones(20), 100, start)
        errors.append(error(tuned))
    errors.append(error(teacher))
    unweighted, weighted, standard = errors
    assert weighted < 0.7 * unweighted
    assert weighted < 0.7 * standard
    assert np.isfinite(errors).all()
