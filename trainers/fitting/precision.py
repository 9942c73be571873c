"""Products of matrices from shorter numbers, on processors that are made for them.

`mixed` training rounds the factors of a product, to bfloat16 on CPUs with units for it (AVX-512
BF16, AMX) and to TF32 on GPUs that have that, and adds up in float32. Weights, everything that
isn't a product of matrices, the optimiser, the moving average and all validation stay in float32,
so a force field predicts in full precision whatever it was trained in. On a processor without such
units `mixed` is `single`, since rounding would only cost time there.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from forgefield.trainers.settings import Precision

_SETTING = {"single": "highest", "mixed": "medium"}
"""torch's words; `medium` is bfloat16 on a CPU, TF32 on a GPU."""


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Products of matrices in this precision; as before afterwards, whatever happens."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_SETTING[precision])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def possible(asked: Precision, device: torch.device) -> Precision:
    """What `asked` comes to on a device."""
    return asked if asked == "mixed" and _has_units(device) else "single"


def _has_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _cpu_has_units()


def _cpu_has_units() -> bool:
    avx, amx = torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported  # noqa: SLF001
    return avx() or amx()
