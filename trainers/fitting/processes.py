"""Processes that train together; one alone where torch.distributed isn't initialised."""

import torch
import torch.distributed as dist
from torch import Tensor


def workers() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def of_first_worker(value: float) -> float:
    """The first process's number, so that all of them choose and stop alike to the last bit."""
    if workers() == 1:
        return value
    shared = torch.tensor([value if rank() == 0 else 0.0], dtype=torch.float64)
    device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
    return float(sum_over_workers(shared.to(device)))


def sum_over_workers(value: Tensor) -> Tensor:
    """All-reduce in place where several processes train together."""
    if workers() > 1:
        dist.all_reduce(value)
    return value
