"""Extended XYZ as others write it, read line by line.

The comment line is ASE's to take apart; the table of atoms is read here, because ASE believes a
file that claims a billion atoms or columns. What was computed, `extended_xyz_results` finds;
`Lattice`, `charge`, `multiplicity`, `molecule`, `method`, `tier`, `purpose` and `units` are read
where they are. Other fields are left.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.extended_xyz_results import (
    FORCES,
    cell_of,
    energy_of,
    family_of,
    stress_of,
)
from forgefield.storage.formats.foreign import (
    UNSTATED,
    ForeignFrames,
    foreign_frames,
    unclear_spins,
)
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.safe_files import check_file, reading
from forgefield.storage.records import Array

LONGEST_LINE = 100_000
SPECIES = ("species", "Z", "element")
POSITIONS = ("pos", "positions")
_PLACES = {symbol: place for place, symbol in enumerate(SYMBOLS)}
_QUOTED = re.compile(r'(?<!\S)(molecule|method)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
Columns = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    numbers: list[int]
    positions_A3: Array
    forces_A3: Array
    family: str
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

    @property
    def frame(self) -> str:
        """The frame that ends here, as a sentence about it begins."""
        return f"The frame that ends with line {self.number} of {self._path}"

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
        family = family_of([*info, *columns], lines.frame)
        forces = _table(rows, _named(FORCES[family], columns))
    except (ValueError, KeyError) as error:
        raise lines.wrong(f"ends a frame that isn't one: {error}") from error
    if positions is None:
        raise lines.wrong("ends a frame without positions")
    return _Frame(numbers, positions, _nothing(numbers) if forces is None else forces, family, info)


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
    family = family_of({frame.family + "energy" for frame in frames}, str(path))
    return foreign_frames(
        [len(frame.numbers) for frame in frames],
        np.array([number for frame in frames for number in frame.numbers], dtype=np.int64),
        np.concatenate([frame.positions_A3 for frame in frames]),
        np.array([energy_of(info, family, number, path) for number, info in enumerate(infos)]),
        forces_A3=np.concatenate([frame.forces_A3 for frame in frames]),
        cell_F33=np.array([cell_of(info) for info in infos]),
        stress_F33=np.array([stress_of(info, family, n, path) for n, info in enumerate(infos)]),
        charge_F=_stated(infos, ("charge", "total_charge"), UNSTATED),
        multiplicity_F=unclear_spins(
            _stated(infos, ("multiplicity", "spin_multiplicity"), 0), infos
        ),
        molecules=tuple(str(info.get("molecule", "")) for info in infos),
        methods=tuple(str(info.get("method", "")) for info in infos),
        tiers=tuple(str(info.get("tier", "")) for info in infos),
        purposes=tuple(str(info.get("purpose", "")) for info in infos),
        energy_unit="eV" if all("energy eV" in str(info.get("units")) for info in infos) else "",
        length_unit="angstrom" if all("/Angstrom" in str(i.get("units")) for i in infos) else "",
    )


def _stated(infos: Sequence[Mapping[str, Any]], names: Sequence[str], unsaid: int) -> Any:  # noqa: ANN401
    found = [next((info[name] for name in names if name in info), unsaid) for info in infos]
    if any(float(value) != int(float(value)) for value in found):
        raise ValueError(f"{names[0]} is not always a whole number")
    return np.array([int(float(value)) for value in found], dtype=np.int64)
