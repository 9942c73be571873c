"""Frames as DeePMD-kit reads them: a folder of systems, one for each sequence of species.

Each has `type.raw`, `type_map.raw` (the same map in all), `set.000/coord.npy` (F, 3 A) Å,
`energy.npy` (F,) eV, `force.npy` (F, 3 A) eV/Å where there are forces, and either a file `nopbc` or
`box.npy` (F, 9) Å; `virial.npy` (F, 9) eV is minus the volume times the stress. One method only.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.safe_files import replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array

MAP = "type_map.raw"


def write_deepmd(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write the folder; raises `InputError` for several methods or half periodic boxes."""
    if len(set(frames.method_F.tolist())) > 1:
        raise InputError("DeePMD's systems hold one method; choose one of them.")
    boxed_F = ~np.isnan(frames.cell_F33).any(axis=(1, 2))
    if not (frames.cell_F33[boxed_F] != 0).any(axis=2).all():
        raise InputError("DeePMD knows no box that is periodic in one or two directions only.")
    elements = sorted(set(frames.numbers.tolist()))
    done = 0
    with replacing(Path(path), "DeePMD systems", MAP) as waiting:
        waiting.mkdir()
        _write_lines(waiting / MAP, [SYMBOLS[number] for number in elements])
        for name, members in _systems(frames):
            _write_system(frames, members, elements, waiting / name)
            done += len(members)
            tell(done)


def _systems(frames: Frames) -> Iterator[tuple[str, Integers]]:
    """Frames of equal species in equal order, with the same of forces, box and stress."""
    kinds: dict[tuple[object, ...], list[int]] = {}
    for frame in range(len(frames)):
        atoms = frames.atoms_of(frame)
        there = (
            np.isnan(frames.forces_A3[atoms]).any(),
            np.isnan(frames.cell_F33[frame]).any(),
            np.isnan(frames.stress_F33[frame]).any(),
        )
        state = int(frames.charge_F[frame]), int(frames.multiplicity_F[frame])
        kind = (frames.numbers[atoms].tobytes(), *map(bool, there), *state)
        kinds.setdefault(kind, []).append(frame)
    names: Counter[str] = Counter()
    for members in kinds.values():
        formula = _formula(frames.numbers[frames.atoms_of(members[0])])
        names[formula] += 1
        suffix = f"-{names[formula]}" if names[formula] > 1 else ""
        yield formula + suffix, np.array(members)


def _formula(numbers: Integers) -> str:
    found = Counter(SYMBOLS[number] for number in numbers.tolist())
    return "".join(f"{symbol}{count}" for symbol, count in sorted(found.items()))


def _write_system(frames: Frames, members: Integers, elements: list[int], folder: Path) -> None:
    chosen, count = frames.select(members), len(members)
    (folder / "set.000").mkdir(parents=True)
    numbers = chosen.numbers[chosen.atoms_of(0)].tolist()
    _write_lines(folder / "type.raw", [str(elements.index(number)) for number in numbers])
    _write_lines(folder / MAP, [SYMBOLS[number] for number in elements])
    arrays: dict[str, Array] = {
        "coord": chosen.positions_A3.reshape(count, -1),
        "energy": chosen.energy_F,
        "force": chosen.forces_A3.reshape(count, -1),
        "box": chosen.cell_F33.reshape(count, 9),
        "virial": _virials(chosen).reshape(count, 9),
    }
    for name, values in arrays.items():
        if not np.isnan(values).any():
            np.save(folder / "set.000" / f"{name}.npy", values)
    if np.isnan(arrays["box"]).any():
        _write_lines(folder / "nopbc", [])


def _virials(frames: Frames) -> Array:
    if np.isnan(frames.cell_F33).any():
        return np.full_like(frames.cell_F33, np.nan)
    volumes = np.abs(np.linalg.det(frames.cell_F33))
    return np.asarray(-volumes[:, None, None] * frames.stress_F33)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
