"""Pairs p ≥ q of orbitals, numbered along the rows of a lower triangle (PySCF's packing)."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def triangle(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """P and q of every pair, each (n(n+1)/2,)."""
    rows, columns = torch.tril_indices(n, n, device=device)
    return rows, columns


@lru_cache(maxsize=64)
def numbering(n: int, device: torch.device) -> Tensor:
    """[p, q] → number of their pair, (n, n)."""
    p = torch.arange(n, device=device)
    high, low = torch.maximum(p[:, None], p), torch.minimum(p[:, None], p)
    return high * (high + 1) // 2 + low
