"""Frames as extended XYZ, the text format that ASE, OVITO and most trainers read.

Per frame: `energy` eV, `method`, `tier`, `purpose`, `molecule`, `cost_core_seconds`, `charge`,
`multiplicity`, the ledger's `seq`, the `split` of a data set that is split, and for periodic boxes
`Lattice` Å and `stress` eV/Å³; per atom: species, `pos` Å and `forces` eV/Å, which are left out of
energy-only frames. Seventeen significant digits, so that numbers come back as they were.
`ase.io.read(path, ":")` finds energies, forces and stress in a SinglePointCalculator.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Purpose
from forgefield.storage.splitting import COLUMN, SPLITS

NO_SPLIT = "none"
_POSITIONS = "{:<2s} {:.17g} {:.17g} {:.17g}"
_WITH_FORCES = _POSITIONS + " {:.17g} {:.17g} {:.17g}"


def write_extended_xyz(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write `frames` to `path`: the old file or the whole new one, never a part.

    Raises `InputError` where nothing can be written there.
    """
    try:
        replace_file(Path(path), (text.encode() for text in _frame_texts(frames, tell)))
    except OSError as error:
        raise InputError(f"Can't write {path}: {error.strerror}. Choose another place.") from error


def _frame_texts(frames: Frames, tell: Tell) -> Iterator[str]:
    symbols = np.array(SYMBOLS)[frames.numbers].tolist()
    rows = np.hstack([frames.positions_A3, frames.forces_A3]).tolist()
    has_forces = [not math.isnan(row[3]) for row in rows]
    for frame in range(len(frames)):
        atoms = frames.atoms_of(frame)
        forces = all(has_forces[atoms])
        line = (_WITH_FORCES if forces else _POSITIONS).format
        body = [line(s, *row) for s, row in zip(symbols[atoms], rows[atoms], strict=True)]
        tell(frame + 1)
        yield "\n".join([str(len(body)), _comment(frames, frame, forces=forces), *body, ""])


def _comment(frames: Frames, frame: int, *, forces: bool) -> str:
    method = frames.methods[frames.method_F[frame]]
    columns = "species:S:1:pos:R:3" + (":forces:R:3" if forces else "")
    return (
        f"{_box(frames.cell_F33[frame], frames.stress_F33[frame])}"
        f"Properties={columns} energy={frames.energy_F[frame]:.17g} "
        f'method="{_quoted(method.name)}" tier={method.tier} '
        f"purpose={Purpose(frames.purpose_F[frame]).name.lower()} "
        f'molecule="{_quoted(frames.molecules[frames.molecule_F[frame]])}" '
        f"cost_core_seconds={frames.cost_F[frame]:.17g} charge={frames.charge_F[frame]} "
        f"multiplicity={frames.multiplicity_F[frame]} seq={frames.seq_F[frame]} "
        f"{_split(frames, frame)}"
        f'units="energy eV, forces eV/Angstrom" pbc="{_periodic(frames.cell_F33[frame])}"'
    )


def _split(frames: Frames, frame: int) -> str:
    """In which split a frame is, where its data set is split."""
    if COLUMN not in frames.added_F:
        return ""
    place = int(frames.added_F[COLUMN][frame])
    return f"split={SPLITS[place] if place >= 0 else NO_SPLIT} "


def _box(cell_33: Array, stress_33: Array) -> str:
    fields = {"Lattice": cell_33, "stress": stress_33}
    return "".join(
        f'{name}="{" ".join(format(number, ".17g") for number in matrix.ravel().tolist())}" '
        for name, matrix in fields.items()
        if not np.isnan(matrix).any()
    )


def _periodic(cell_33: Array) -> str:
    """Along which vectors of the cell it repeats itself; nowhere without a cell."""
    along = ~np.isnan(cell_33).any() & (cell_33 != 0).any(axis=1)
    return " ".join("T" if repeats else "F" for repeats in along.tolist())


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
