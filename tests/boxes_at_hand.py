"""A molecule of water in a small skewed box, and larger boxes of its copies: Å, float64."""

from itertools import product

import torch
from torch import Tensor

SKEWED = torch.tensor([[2.6, 0, 0], [0.7, 2.9, 0], [-0.4, 0.5, 3.3]], dtype=torch.float64)
"""Smaller than the cutoff: atoms see themselves."""
NUMBERS = torch.tensor([8, 1, 1])
WATER = torch.tensor([[0.1, 0, 0], [1.06, 0.1, 0], [-0.14, 0.93, 0.2]], dtype=torch.float64)


def supercell(copies: int) -> tuple[Tensor, Tensor]:
    """Positions and cell of `copies`³ boxes, the first direction slowest."""
    images = torch.tensor(list(product(range(copies), repeat=3)), dtype=torch.float64)
    moved = WATER[None] + (images @ SKEWED)[:, None]
    return moved.reshape(-1, 3), SKEWED * copies
