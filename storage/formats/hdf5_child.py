"""The arrays of an HDF5 file, taken out in a process of its own.

The HDF5 library loops for ever, or crashes, on some damaged files: this process may, its parent
may not. `python -m forgefield.storage.formats.hdf5_child FILE OUT.npz` writes every plain dataset
of the root group, and the attribute `forgefield` as `about`; it exits with 2 and the reason on
standard error where it can't. It imports nothing else of Forgefield's.
"""

import math
import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

COMPRESSIBLE, SMALL_BYTES = 40, 2**22
"""As in `safe_files`."""
MEMORY_BYTES = 2**32
REFUSED = 2


def main(file: Path, out: Path) -> int:
    """Take the arrays out; the exit code."""
    import h5py

    size = file.stat().st_size
    room = MEMORY_BYTES + 2 * COMPRESSIBLE * size
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    try:
        with h5py.File(file, "r") as opened:
            about = str(opened.attrs.get("forgefield", "{}"))
            datasets = {str(name): _dataset(opened, str(name)) for name in opened}
            _check_claims(datasets, size)
            arrays = {name: np.asarray(dataset[...]) for name, dataset in datasets.items()}
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(str(error) or type(error).__name__)
        return REFUSED
    np.savez(out, allow_pickle=False, about=np.array(about), **arrays)
    return 0


def _check_claims(datasets: dict[str, Any], size: int) -> None:
    claimed = sum(math.prod(each.shape) * each.dtype.itemsize for each in datasets.values())
    if claimed > max(SMALL_BYTES, COMPRESSIBLE * size):
        raise ValueError(f"it claims {claimed:,} bytes of numbers, but it is {size:,} long")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if claimed > machine:
        raise ValueError(f"it claims {claimed:,} bytes of numbers; this machine has {machine:,}")


def _dataset(opened: Any, name: str) -> Any:  # noqa: ANN401
    import h5py

    plain = isinstance(opened.get(name, getlink=True), h5py.HardLink)
    dataset = opened[name] if plain else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} is kept elsewhere; only plain datasets are read")
    if dataset.dtype.kind not in "fiu" or name == "about":
        raise ValueError(f"{name} holds {dataset.dtype}, not numbers")
    return dataset


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
