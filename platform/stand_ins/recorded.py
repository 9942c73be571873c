"""A file of labels as a campaign sees it: one molecule, its atoms in the campaign's order.

Atoms are renumbered once a file, by bonds; frames that repeat a geometry are dropped. What is left
is the file's frames in its order, so that a place means the same in every process.

Legend: `F` frames, `A` atoms. Units: eV, Å, eV/Å.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from forgefield.labelers.renumbering import order_of_atoms
from forgefield.platform.foreign_labels.bonds import bonds_of
from forgefield.platform.foreign_labels.files import LabelledFile, read_labelled
from forgefield.platform.foreign_labels.matching import repeats_in
from forgefield.platform.foreign_labels.methods import agree
from forgefield.platform.stand_in_names import replayed_name
from forgefield.platform.stand_ins.settings import Replayed
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration, Method, Molecule, Tier


def recorded(settings: Replayed, tier: Tier, molecule: Molecule) -> LabelledFile:
    """The distinct frames of a tier's file; raises `InputError` where they aren't of `molecule`."""
    method = Method(tier, replayed_name(settings.method))
    changed = _changed(settings.file)
    with options_of_recipes(tier):
        read = _distinct(settings.file, changed, settings.unit, settings.trust)
    stated = read.method.name
    if stated != f"labels of {settings.file.name}" and not agree(stated, settings.method):
        raise InputError(
            f"{settings.file} says that it was labelled by {stated!r}; the recipe's "
            f"replay.{tier}.method says {settings.method!r}. Name what the file names."
        )
    return replace(_as_ordered(read, molecule), method=method)


@contextmanager
def options_of_recipes(tier: Tier) -> Iterator[None]:
    """Errors of reading files name options of commands; say where a recipe has them."""
    try:
        yield
    except InputError as error:
        options = {"--unit": "unit", "--dft-unit": "unit", "--trust": "trust = true"}
        named = {said for option, said in options.items() if option in str(error)}
        if not named:
            raise
        keys = " or ".join(sorted(named, reverse=True))
        raise InputError(f"{error} In a recipe that is {keys} under [replay.{tier}].") from error


def configuration_of(file: LabelledFile, molecule: Molecule, place: int) -> Configuration:
    """The geometry of a frame as the campaign's jobs name it."""
    return molecule.at(file.positions_NA3[place])


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(
            f"There is no file {path} to replay. Check the path, which counts from the recipe's "
            "folder."
        ) from error


@lru_cache(maxsize=4)
def _distinct(path: Path, _changed: int, unit: str | None, trust: bool) -> LabelledFile:
    """A file without its repeats; the same for any tier, whose name is put on later."""
    read = read_labelled(path, Tier.CCSD, unit, trust=trust)
    later = {int(second) for _, second in repeats_in(read)}
    return kept(read, [place for place in range(len(read)) if place not in later])


def kept(file: LabelledFile, places: Sequence[int]) -> LabelledFile:
    """The frames at `places`, in that order."""
    chosen_F = np.asarray(places, dtype=np.int64)
    return replace(
        file,
        positions_NA3=file.positions_NA3[chosen_F],
        energy_N=file.energy_N[chosen_F],
        forces_NA3=file.forces_NA3[chosen_F],
    )


def _as_ordered(file: LabelledFile, molecule: Molecule) -> LabelledFile:
    """The file with its atoms numbered as the molecule's."""
    charges = (file.charge, file.multiplicity), (molecule.charge, molecule.multiplicity)
    if charges[0] != charges[1]:
        raise InputError(
            f"{file.path} holds a molecule of charge {file.charge} and multiplicity "
            f"{file.multiplicity}; {molecule.name} has {molecule.charge} and "
            f"{molecule.multiplicity}. Say --charge and --multiplicity, or give another file."
        )
    order_A = atom_order(file, molecule)
    return replace(
        file,
        name=molecule.name,
        numbers=molecule.numbers,
        positions_NA3=file.positions_NA3[:, order_A],
        forces_NA3=file.forces_NA3[:, order_A],
    )


def atom_order(file: LabelledFile, molecule: Molecule) -> list[int]:
    """The place in the file of each atom of the molecule; raises `InputError` where none fits."""
    neighbours = bonds_of(file).neighbours
    pairs = {(atom, other) for atom, beside in enumerate(neighbours) for other in beside}
    order = order_of_atoms(molecule, file.numbers, pairs)
    if order is None:
        raise InputError(
            f"{file.path} holds another molecule than {molecule.name}: atoms {list(file.numbers)} "
            f"in the file, {list(molecule.numbers)} asked for, or bonded otherwise. Give its file, "
            "or name its molecule."
        )
    return order
