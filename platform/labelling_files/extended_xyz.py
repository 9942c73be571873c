"""Labelled frames as extended XYZ, in the input's order, with where each label came from.

Per frame: `energy` eV, `units`, `method`, `tier`, `program`, `version`, `host`, `threads`, `cpu_s`,
`wall_s`, the diagnostics (`t1`, `gap_eV`, `residual_force` eV/Å …), `charge`, `multiplicity`,
`frame` (its number in the input, from 0), `job` (a hash of method and geometry), and the fields
that the input had. Per atom: species, `pos` Å, and `forces` eV/Å unless the method has none. Boxes
have a `Lattice` Å, and `stress` eV/Å³ where the label has one. Numbers have seventeen digits, so
that they come back as they were. ASE finds energy, forces and stress in a calculator.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.records import Array, Job, Label

STALE = frozenset(
    {
        *("energy", "free_energy", "Energy", "REF_energy", "forces", "force", "REF_forces"),
        *("stress", "virial", "virials", "REF_stress", "dipole", "pbc", "cost_core_seconds"),
    }
)
"""Fields of the input that would pass for ours."""
UNITS = "energy eV, forces eV/Angstrom"
"""What `platform import` and others know the units by, as in the storage room's own files."""
_PLACE = " {:.17g} {:.17g} {:.17g}"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """A label of frame `number` of the input, which had the fields `info`."""

    number: int
    job: Job
    label: Label
    info: Mapping[str, Any]


def write_labels(frames: Iterable[LabelledFrame], out: Path) -> None:
    """Write `out`, the old file or the whole new one; `InputError` where that is not allowed."""
    try:
        replace_file(out, (_text(frame).encode() for frame in frames))
    except OSError as error:
        raise InputError(
            f"Can't write {out}: {error.strerror}. The labels are safe in {out}.partial: mend "
            "that, then run the same command again."
        ) from error


def _text(frame: LabelledFrame) -> str:
    shape, forces_A3 = frame.job.configuration, frame.label.forces_A3
    arrays = [shape.positions_A3] if forces_A3 is None else [shape.positions_A3, forces_A3]
    line = ("{:<2s}" + _PLACE * len(arrays)).format
    rows = np.hstack(arrays).tolist()
    body = [line(SYMBOLS[n], *row) for n, row in zip(shape.numbers, rows, strict=True)]
    return "\n".join([str(len(body)), _comment(frame), *body, ""])


def _comment(frame: LabelledFrame) -> str:
    columns = "species:S:1:pos:R:3" + ("" if frame.label.forces_A3 is None else ":forces:R:3")
    fields = {**_ours(frame), **dict(_theirs(frame.info, set(_ours(frame))))}
    said = " ".join(_fields(fields))
    return f"Properties={columns} {said} {_surroundings(frame)}"


def _surroundings(frame: LabelledFrame) -> str:
    cell_33, stress_33 = frame.job.configuration.cell_33, frame.label.stress_33
    if cell_33 is None:
        return 'pbc="F F F"'
    stress = "" if stress_33 is None else f' stress="{_matrix(stress_33)}"'
    periodic = " ".join("T" if vector.any() else "F" for vector in cell_33)
    return f'Lattice="{_matrix(cell_33)}"{stress} pbc="{periodic}"'


def _matrix(values_33: Array) -> str:
    return " ".join(f"{value:.17g}" for value in values_33.ravel().tolist())


def _ours(frame: LabelledFrame) -> dict[str, Any]:
    shape, origin = frame.job.configuration, frame.label.provenance
    return {
        "energy": frame.label.energy,
        "units": UNITS,
        "method": frame.job.method.name,
        "tier": frame.job.method.tier.value,
        "program": origin.program,
        "version": origin.version,
        "host": origin.host,
        "threads": origin.threads,
        "cpu_s": origin.cpu_s,
        "wall_s": origin.wall_s,
        **origin.diagnostics,
        "charge": shape.charge,
        "multiplicity": shape.multiplicity,
        "frame": frame.number,
        "job": frame.job.key(),
    }


def _theirs(info: Mapping[str, Any], taken: set[str]) -> Iterator[tuple[str, Any]]:
    for name, value in info.items():
        if name not in taken | STALE and value is not None:
            yield name, value


def _fields(fields: Mapping[str, Any]) -> Iterator[str]:
    from ase.io.extxyz import key_val_dict_to_str

    for name, value in fields.items():
        plain = value.item() if isinstance(value, np.generic) else value
        text = key_val_dict_to_str({name: plain}).replace("\n", " ").replace("\r", " ")
        yield text
