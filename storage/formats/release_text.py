"""What a release says of itself: dataset card, licence, and a paragraph on the methods."""

import json
from collections import Counter
from dataclasses import dataclass

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames, Program
from forgefield.storage.records import IMPORTED, Purpose
from forgefield.storage.splitting import COLUMN

LICENCES = {
    "CC-BY-4.0": (
        "Creative Commons Attribution 4.0 International",
        "https://creativecommons.org/licenses/by/4.0/legalcode",
    ),
    "CC-BY-SA-4.0": (
        "Creative Commons Attribution-ShareAlike 4.0 International",
        "https://creativecommons.org/licenses/by-sa/4.0/legalcode",
    ),
    "CC0-1.0": (
        "CC0 1.0 Universal",
        "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    ),
    "ODbL-1.0": (
        "Open Data Commons Open Database License 1.0",
        "https://opendatacommons.org/licenses/odbl/1-0/",
    ),
}
DEFAULT_LICENCE = "CC-BY-4.0"
SMALL_COST_S = 360.0


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """How a data set is released: its `title`, and the SPDX name of its licence.

    `split` says by which settings it was split, where it was.
    """

    title: str = "Labelled molecular configurations"
    licence: str = DEFAULT_LICENCE
    split: str = ""

    def __post_init__(self) -> None:
        """Raise `InputError` for a licence that isn't known."""
        if self.licence not in LICENCES:
            raise InputError(
                f"{self.licence!r} is no licence that is known here. Choose from "
                f"{', '.join(LICENCES)}."
            )


def licence_text(terms: ReleaseTerms) -> str:
    """The licence by its name and the place of its legal text."""
    name, address = LICENCES[terms.licence]
    return f"SPDX-License-Identifier: {terms.licence}\n\n{name}\n\nLegal text: {address}\n"


def methods_paragraph(frames: Frames) -> str:
    """Programs, versions and costs of every method, as a paper's methods section says them."""
    sentences = []
    for place in sorted(set(frames.method_F.tolist())):
        method, which = frames.methods[place], frames.method_F == place
        origin = frames.provenance
        used = sorted(set(origin.program_F[which].tolist()))
        programs = " and ".join(_origin(origin.programs[place]) for place in used)
        without = int(np.isnan(frames.energy_F[which]).sum()) + _energy_only(frames, which)
        forces = f", {without} of them without forces" if without else ""
        price = _price(float(frames.cost_F[which].sum()))
        sentences.append(
            f"{int(which.sum()):,} configurations were labelled by {method.name}, "
            f"{programs}{price}{forces}."
        )
    return " ".join(sentences)


def _price(cost_s: float) -> str:
    """What labels cost, in core-hours, or in core-seconds where these would be none."""
    if not cost_s:
        return ""
    small = cost_s < SMALL_COST_S
    amount = f"{cost_s:,.3g} core-seconds" if small else f"{cost_s / 3600:,.2f} core-hours"
    return f" at a cost of {amount}"


def _compositions(frames: Frames) -> int:
    numbers = frames.numbers.tolist()
    each = (tuple(sorted(numbers[frames.atoms_of(frame)])) for frame in range(len(frames)))
    return len(set(each))


def _origin(program: Program) -> str:
    if program.name == IMPORTED:
        return f"taken from a file (SHA-256 {program.version}…)"
    return f"computed with {program.name} {program.version}"


def _energy_only(frames: Frames, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    first = frames.ptr[:-1][which]
    return int(np.isnan(frames.forces_A3[first]).any(axis=1).sum())


def _split(frames: Frames, terms: ReleaseTerms) -> str:
    if terms.split:
        return f"Split by: {terms.split}."
    return "" if COLUMN in frames.added_F else "They follow from what frames were bought for."


def card(frames: Frames, terms: ReleaseTerms, splits: dict[str, int]) -> str:
    """The dataset card, README.md: what is in it, how to read it, how it was made."""
    name, address = LICENCES[terms.licence]
    molecules = Counter(frames.molecules[place] for place in frames.molecule_F.tolist())
    named = ", ".join(f"{word or 'unnamed'} ({count:,})" for word, count in molecules.items())
    elements = sorted(set(frames.numbers.tolist()))
    rows = "\n".join(f"| {split} | {count:,} |" for split, count in splits.items())
    purposes = ", ".join(
        f"{int((frames.purpose_F == p).sum()):,} {p.name.lower()}"
        for p in Purpose
        if (frames.purpose_F == p).any()
    )
    return f"""---
license: {terms.licence.lower()}
pretty_name: {json.dumps(terms.title)}
---
# {terms.title}

{len(frames):,} labelled configurations of {_compositions(frames)} composition(s),
{len(frames.numbers):,} atoms; elements {", ".join(SYMBOLS[number] for number in elements)}.

By the names of molecules: {named}.

Bought as: {purposes}.

## Methods

{methods_paragraph(frames)}

## Splits

| split | frames |
|---|---|
{rows}

`splits/*.csv` list the frames of each: its index along the `frame` axis and the hash of its
geometry, by which duplicates are found in other data sets. {_split(frames, terms)}

## Reading

`frames.zarr` is plain Zarr v3 (sharded, consolidated): `zarr.open_group("frames.zarr", mode="r")`.
Frame i owns the rows `ptr[i]:ptr[i + 1]` of `numbers`, `positions` (angstrom) and `forces`
(eV/angstrom, NaN where a label has none); `energy` (eV), `charge`, `multiplicity` and the others
are one a frame. What the integers in `method`, `molecule` and `program` mean stands in the root's
attribute `forgefield`. `sha256sum -c SHA256SUMS` checks all files.

## Licence

{name} ([{terms.licence}]({address})).
"""
