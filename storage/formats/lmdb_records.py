"""Frames as an LMDB file: one record a frame, for readers that draw at random from a disk.

Keys are twelve digits, `b"000000000000"` the first frame. A value is a safetensors document
(`safetensors.numpy.load(value)`), so that nothing is ever unpickled: `numbers` uint8 (A,),
`positions`, `forces` (A, 3), `energy` (), `cell`, `stress` (3, 3), `charge`, `multiplicity`,
`method`, `molecule`, `purpose` () int32; what a frame doesn't have isn't there. The key
`b"forgefield"` holds JSON: the number of frames, units, and the words that the integers stand for.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.formats.plain_columns import trimmed
from forgefield.storage.formats.safe_files import replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose

ABOUT = b"forgefield"
FORMAT = 1
FRAMES_A_COMMIT = 10_000
BYTES_A_FRAME, BYTES_AN_ATOM = 4096, 128
"""More than any record takes, pages and their tree included: the map is that large, not the file"""


def write_lmdb(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write the frames; raises `InputError` where that isn't possible."""
    tidy = trimmed(frames)
    room = 2**24 + BYTES_A_FRAME * 2 * len(tidy) + BYTES_AN_ATOM * 2 * len(tidy.numbers)
    with replacing(Path(path), "LMDB") as waiting:
        import lmdb

        try:
            with lmdb.open(str(waiting), subdir=False, lock=False, map_size=room) as database:
                _put(database, ABOUT, json.dumps(_about(tidy)).encode())
                for first in range(0, len(tidy), FRAMES_A_COMMIT):
                    with database.begin(write=True) as transaction:
                        for key, value in _records(tidy, first):
                            transaction.put(key, value)
                    tell(min(len(tidy), first + FRAMES_A_COMMIT))
        except lmdb.Error as error:
            raise OSError(str(error)) from error


def _put(database: Any, key: bytes, value: bytes) -> None:  # noqa: ANN401
    with database.begin(write=True) as transaction:
        transaction.put(key, value)


def _records(frames: Frames, first: int) -> Iterator[tuple[bytes, bytes]]:
    from safetensors.numpy import save

    for frame in range(first, min(len(frames), first + FRAMES_A_COMMIT)):
        yield b"%012d" % frame, save(_record(frames, frame))


def _record(frames: Frames, frame: int) -> dict[str, np.ndarray[Any, Any]]:
    atoms = frames.atoms_of(frame)
    numbers = {
        "positions": frames.positions_A3[atoms],
        "forces": frames.forces_A3[atoms],
        "energy": np.array(frames.energy_F[frame]),
        "cell": frames.cell_F33[frame],
        "stress": frames.stress_F33[frame],
    }
    whole = {
        name: np.array(getattr(frames, f"{name}_F")[frame], dtype=np.int32)
        for name in ("charge", "multiplicity", "method", "molecule", "purpose")
    }
    there = {name: np.ascontiguousarray(v) for name, v in numbers.items() if not np.isnan(v).any()}
    return {"numbers": frames.numbers[atoms].astype(np.uint8)} | there | whole


def _about(frames: Frames) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "frames": len(frames),
        "units": {
            "positions": "angstrom",
            "energy": "eV",
            "forces": "eV/angstrom",
            "stress": "eV/angstrom^3",
        },
        "methods": [{"tier": m.tier.value, "name": m.name} for m in frames.methods],
        "molecules": list(frames.molecules),
        "purposes": [purpose.name.lower() for purpose in Purpose],
    }
