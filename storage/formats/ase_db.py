"""Frames as an ASE database (`.db`, SQLite), written and read through `ase.db`.

Energy, forces, stress, charge stand where ASE has them; `method`, `tier`, `purpose`, `molecule`,
`multiplicity`, `cost_core_seconds` and `seq` are in the row's `data`, because key-value pairs may
not hold words that look like numbers; `tier` and `purpose` are key-value pairs too, to select by.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.datasets.plain_data import plain_frame
from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import (
    UNSTATED,
    ForeignFrames,
    foreign_frames,
    purpose_names,
    unclear_spins,
)
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.safe_files import check_file, reading, replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array

MAGIC = b"SQLite format 3\0"
BYTES_A_ROW = 64
STEPS_A_BYTE = 100
"""SQLite counts rows in far fewer steps; a file made to keep it busy is stopped here."""


def write_ase_db(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write one row a frame; raises `InputError` where that isn't possible."""
    with replacing(Path(path), "an ASE database") as waiting:
        from ase.db import connect

        with connect(waiting, type="db", use_lock_file=False) as database:
            for frame, (atoms, words) in enumerate(_rows(frames)):
                chosen = {name: words[name] for name in ("tier", "purpose")}
                database.write(atoms, key_value_pairs=chosen, data=words)
                tell(frame + 1)


def _rows(frames: Frames) -> Iterator[tuple[Any, dict[str, Any]]]:
    from forgefield.storage.datasets.ase_data import to_atoms

    purposes = purpose_names(frames)
    for frame in range(len(frames)):
        method = frames.methods[frames.method_F[frame]]
        words = {
            "method": method.name,
            "tier": method.tier.value,
            "purpose": purposes[frame],
            "molecule": frames.molecules[frames.molecule_F[frame]],
            "charge": int(frames.charge_F[frame]),
            "multiplicity": int(frames.multiplicity_F[frame]),
            "cost_core_seconds": float(frames.cost_F[frame]),
            "seq": int(frames.seq_F[frame]),
        }
        yield to_atoms(plain_frame(frames, frame)), words


def read_ase_db(path: Path) -> ForeignFrames:
    """All rows of a database; raises `InputError` where one has no energy, or all is damaged."""
    with reading(path, "an ASE database"):
        size = check_file(path)
        count = _count(path, size)
        from ase.db import connect

        rows = list(connect(path, type="db", use_lock_file=False).select(limit=count))
        if not rows:
            raise InputError(f"{path} holds no frames.")
        return checked(_together(rows, path), path)


def _count(path: Path, size: int) -> int:
    """Rows of the table, where it is a table and of a size that the file can hold."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path} is no SQLite file, as ASE's databases (.db) are.")
    address = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        connection.set_progress_handler(lambda: True, STEPS_A_BYTE * size + 100_000)
        kind = connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = 'systems'"
        ).fetchone()
        if kind is None or kind[0] != "table" or "CREATE TABLE" not in kind[1]:
            raise InputError(f"{path} has no table of systems; it is no database of ASE's.")
        count = int(connection.execute("SELECT count(*) FROM systems").fetchone()[0])
    if count * BYTES_A_ROW > size:
        raise InputError(f"{path} claims {count} rows in {size} bytes. It is damaged.")
    return count


def _together(rows: Sequence[Any], path: Path) -> ForeignFrames:
    said = [dict(row.data) for row in rows]
    known = [row.key_value_pairs | data for row, data in zip(rows, said, strict=True)]
    for number, row in enumerate(rows):
        if row.get("energy") is None:
            raise InputError(f"Row {number} of {path} has no energy.")
    return foreign_frames(
        [len(row.numbers) for row in rows],
        np.concatenate([row.numbers for row in rows]),
        np.concatenate([row.positions for row in rows]),
        np.array([row.energy for row in rows]),
        forces_A3=np.concatenate([_forces(row) for row in rows]),
        cell_F33=np.array([_cell(row) for row in rows]),
        stress_F33=np.array([_stress(row) for row in rows]),
        charge_F=_wholes(known, ("charge", "total_charge"), UNSTATED),
        multiplicity_F=unclear_spins(
            _wholes(known, ("multiplicity", "spin_multiplicity"), 0), known
        ),
        molecules=_words(rows, said, "molecule"),
        methods=_words(rows, said, "method"),
        tiers=_words(rows, said, "tier"),
        purposes=_words(rows, said, "purpose"),
        energy_unit="eV",
        length_unit="angstrom",
    )


def _words(rows: Sequence[Any], said: Sequence[dict[str, Any]], name: str) -> tuple[str, ...]:
    return tuple(
        str(data.get(name, row.key_value_pairs.get(name, "")))
        for row, data in zip(rows, said, strict=True)
    )


def _wholes(known: Sequence[dict[str, Any]], names: Sequence[str], unsaid: int) -> Integers:
    """Of data or key-value pairs only: ASE makes up a charge of 0 for rows that state none."""
    found = [next((each[name] for name in names if name in each), unsaid) for each in known]
    return np.array([_whole(value) for value in found], dtype=np.int64)


def _whole(value: Any) -> int:  # noqa: ANN401
    if float(value) != int(value):
        raise ValueError(f"a charge or multiplicity of {value}")
    return int(value)


def _forces(row: Any) -> Array:  # noqa: ANN401
    found = row.get("forces")
    return np.full((len(row.numbers), 3), np.nan) if found is None else np.asarray(found)


def _cell(row: Any) -> Array:  # noqa: ANN401
    if not row.pbc.any():
        return np.full((3, 3), np.nan)
    return np.where(np.asarray(row.pbc)[:, None], np.asarray(row.cell), 0.0)


def _stress(row: Any) -> Array:  # noqa: ANN401
    found = row.get("stress")
    if found is None:
        return np.full((3, 3), np.nan)
    xx, yy, zz, yz, xz, xy = np.asarray(found, dtype=np.float64)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
