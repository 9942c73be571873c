"""Frames as PyTorch Geometric keeps a dataset in memory: collated tensors and where each begins.

The file is a pair `(data, slices)`, as `InMemoryDataset.load(path)` of PyG 2.4 and later takes it:
`z`, `pos`, `force` by atom, `energy` (F,), `charge`, `spin` (2S + 1), `method`, `molecule`,
`purpose` by frame, and `cell` and `stress` (F, 3, 3) where there are boxes. Absent numbers are NaN.
It holds tensors only, so that `torch.load(path, weights_only=True)` reads it: the words that
`method` and `molecule` stand for are JSON in `words`, one byte a number. A `.pt` file rather than
safetensors, because that is what PyG itself opens.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.formats.plain_columns import trimmed
from forgefield.storage.formats.safe_files import replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frames import Frames

_BY_ATOM = {"z": "numbers", "pos": "positions_A3", "force": "forces_A3"}
_BY_FRAME = {
    "energy": "energy_F",
    "charge": "charge_F",
    "spin": "multiplicity_F",
    "method": "method_F",
    "molecule": "molecule_F",
    "purpose": "purpose_F",
}
_BOXES = {"cell": "cell_F33", "stress": "stress_F33"}


def write_pyg(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write the collated file; raises `InputError` where that isn't possible."""
    tidy = trimmed(frames)
    with replacing(Path(path), "a PyG dataset") as waiting:
        import torch

        torch.save(_collated(tidy), waiting)
    tell(len(frames))


def _collated(frames: Frames) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch

    boxed = not np.isnan(frames.cell_F33).all()
    by_frame = _BY_FRAME | (_BOXES if boxed else {})
    named = {**_BY_ATOM, **by_frame}
    data = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(frames, field)))
        for name, field in named.items()
    }
    atoms = torch.from_numpy(np.ascontiguousarray(frames.ptr))
    each = torch.arange(len(frames) + 1)
    slices = {name: atoms if name in _BY_ATOM else each for name in named}
    data["words"] = torch.tensor(list(json.dumps(_words(frames)).encode()), dtype=torch.uint8)
    return data, slices


def _words(frames: Frames) -> dict[str, Any]:
    return {
        "methods": [{"tier": m.tier.value, "name": m.name} for m in frames.methods],
        "molecules": list(frames.molecules),
        "units": "eV, angstrom",
    }
