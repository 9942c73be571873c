"""Processes that train together; one alone where torch.distributed isn't initialised."""

import torch.distributed as dist
from torch import Tensor


def workers() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def sum_over_workers(value: Tensor) -> Tensor:
    """All-reduce in place where several processes train together."""
    if workers() > 1:
        dist.all_reduce(value)
    return value
