"""Extended XYZ as others write it, read line by line.

The comment line is ASE's to take apart; the table of atoms is read here, because ASE believes a
file that claims a billion atoms or columns. Energies are `energy`, or `REF_energy` (MACE), forces
`forces`, `force` or `REF_forces`; `Lattice`, `stress` (or `virials`), `charge`, `multiplicity`,
`molecule`, `method`, `tier`, `purpose` and `units` are read where they are. Other fields are left.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import UNSTATED, ForeignFrames, foreign_frames
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.safe_files import check_file, reading
from forgefield.storage.records import Array

LONGEST_LINE = 100_000
ENERGIES = ("energy", "REF_energy", "Energy", "free_energy")
FORCES = ("forces", "REF_forces", "force")
SPECIES = ("species", "Z", "element")
POSITIONS = ("pos", "positions")
_PLACES = {symbol: place for place, symbol in enumerate(SYMBOLS)}
_QUOTED = re.compile(r'(?<!\S)(molecule|method)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_NO_BOX = np.full((3, 3), np.nan)
Columns = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    numbers: list[int]
    positions_A3: Array
    forces_A3: Array
    info: Mapping[str, Any]


def read_extended_xyz(path: Path) -> ForeignFrames:
    """All frames of the file; raises `InputError` with the number of the line that is wrong."""
    with reading(path, "extended XYZ"):
        check_file(path)
        with path.open(encoding="utf-8") as file:
            frames = list(_frames(_Lines(file, path)))
        if not frames:
            raise InputError(f"{path} holds no frames.")
        return checked(_together(frames, path), path)


class _Lines:
    """Lines of a file, counted, none of them endless."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file = file
        self._path = path
        self.number = 0

    def next(self) -> str:
        self.number += 1
        line = self._file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise self.wrong("is too long")
        return line

    def wrong(self, what: str) -> InputError:
        return InputError(f"Line {self.number} of {self._path} {what}.")


def _frames(lines: _Lines) -> Iterator[_Frame]:
    from ase.io.extxyz import key_val_str_to_dict

    while line := lines.next():
        if not line.strip():
            continue
        atoms = _count(line, lines)
        comment = lines.next()
        if "=" not in comment:
            raise lines.wrong("has no energy: this is plain XYZ, not extended XYZ")
        try:
            info = key_val_str_to_dict(comment) | _words(comment)
        except (ValueError, IndexError) as error:
            raise lines.wrong(f"is no comment of extended XYZ ({error})") from error
        properties = str(info.get("Properties", "species:S:1:pos:R:3"))
        columns = _columns(properties, lines)
        rows = [_row(lines, columns) for _ in range(atoms)]
        yield _frame(rows, columns, info, lines)


def _words(comment: str) -> dict[str, str]:
    """Quoted words as they stand: a molecule may be called "007" or "T"."""
    return {name: _ESCAPED.sub(r"\1", text) for name, text in _QUOTED.findall(comment)}


def _count(line: str, lines: _Lines) -> int:
    text = line.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise lines.wrong(f"should be a number of atoms, not {text[:40]!r}")
    return int(text)


def _columns(properties: str, lines: _Lines) -> Columns:
    """Where each named column begins and ends."""
    words = properties.split(":")
    if len(words) % 3 or not all(word.isdigit() and len(word) < 4 for word in words[2::3]):
        raise lines.wrong(f"has Properties={properties[:60]}, which are not name:type:number")
    columns, first = {}, 0
    for name, width in zip(words[::3], map(int, words[2::3]), strict=True):
        columns[name] = (first, first + width)
        first += width
    return columns


def _row(lines: _Lines, columns: Columns) -> list[str]:
    line = lines.next()
    words = line.split()
    width = max(end for _, end in columns.values())
    if len(words) != width or not line.endswith("\n"):
        raise lines.wrong(f"should have {width} columns and an end, not {line[:40]!r}")
    return words


def _frame(
    rows: Sequence[Sequence[str]], columns: Columns, info: Mapping[str, Any], lines: _Lines
) -> _Frame:
    species = _named(SPECIES, columns)
    if species is None:
        raise lines.wrong("ends a frame without a column of species")
    try:
        numbers = [_number(row[species[0]]) for row in rows]
        positions = _table(rows, _named(POSITIONS, columns))
        forces = _table(rows, _named(FORCES, columns))
    except (ValueError, KeyError) as error:
        raise lines.wrong(f"ends a frame that isn't one: {error}") from error
    if positions is None:
        raise lines.wrong("ends a frame without positions")
    return _Frame(numbers, positions, _nothing(numbers) if forces is None else forces, info)


def _number(species: str) -> int:
    return int(species) if species.isascii() and species.isdigit() else _PLACES[species]


def _nothing(numbers: Sequence[int]) -> Array:
    return np.full((len(numbers), 3), np.nan)


def _named(names: Sequence[str], columns: Columns) -> tuple[int, int] | None:
    return next((columns[name] for name in names if name in columns), None)


def _table(rows: Sequence[Sequence[str]], where: tuple[int, int] | None) -> Array | None:
    if where is None:
        return None
    table = np.array([[float(word) for word in row[slice(*where)]] for row in rows])
    if table.shape[1:] != (3,):
        raise ValueError(f"{table.shape[1]} columns where there must be 3")
    return table


def _together(frames: Sequence[_Frame], path: Path) -> ForeignFrames:
    infos = [frame.info for frame in frames]
    return foreign_frames(
        [len(frame.numbers) for frame in frames],
        np.array([number for frame in frames for number in frame.numbers], dtype=np.int64),
        np.concatenate([frame.positions_A3 for frame in frames]),
        np.array([_energy(info, number, path) for number, info in enumerate(infos)]),
        forces_A3=np.concatenate([frame.forces_A3 for frame in frames]),
        cell_F33=np.array([_cell(info) for info in infos]),
        stress_F33=np.array([_stress(info) for info in infos]),
        charge_F=_stated(infos, ("charge", "total_charge"), UNSTATED),
        multiplicity_F=_stated(infos, ("multiplicity", "spin_multiplicity"), 0),
        molecules=tuple(str(info.get("molecule", "")) for info in infos),
        methods=tuple(str(info.get("method", "")) for info in infos),
        tiers=tuple(str(info.get("tier", "")) for info in infos),
        purposes=tuple(str(info.get("purpose", "")) for info in infos),
        energy_unit="eV" if all("energy eV" in str(info.get("units")) for info in infos) else "",
        length_unit="angstrom",
    )


def _energy(info: Mapping[str, Any], frame: int, path: Path) -> float:
    name = next((name for name in ENERGIES if name in info), None)
    if name is None:
        raise InputError(f"Frame {frame} of {path} has no energy; it needs energy=… in its line.")
    return float(info[name])


def _cell(info: Mapping[str, Any]) -> Array:
    """Rows are vectors; a direction that isn't periodic has a row of zeros."""
    if "Lattice" not in info:
        return _NO_BOX
    periodic = np.broadcast_to(np.asarray(info.get("pbc", True), dtype=bool), (3,))
    if not periodic.any():
        return _NO_BOX
    return np.where(periodic[:, None], np.asarray(info["Lattice"], dtype=np.float64).T, 0.0)


def _stress(info: Mapping[str, Any]) -> Array:
    if "stress" in info:
        found = np.asarray(info["stress"], dtype=np.float64)
        if found.shape == (6,):
            xx, yy, zz, yz, xz, xy = found
            return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        return found.reshape(3, 3).T
    return _NO_BOX


def _stated(infos: Sequence[Mapping[str, Any]], names: Sequence[str], unsaid: int) -> Any:  # noqa: ANN401
    found = [next((info[name] for name in names if name in info), unsaid) for info in infos]
    if any(float(value) != int(float(value)) for value in found):
        raise ValueError(f"{names[0]} is not always a whole number")
    return np.array([int(float(value)) for value in found], dtype=np.int64)
