"""Atoms are found again in any numbering of the same molecule, and in no other."""

import numpy as np
import pytest

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.renumbering import _bonds, order_of_atoms
from forgefield.storage.records import Molecule


@pytest.mark.parametrize("name", ["ethanol", "aspirin", "toluene", "CC(C)(C)O", "water"])
def test_a_shuffled_molecule_is_found(name: str) -> None:
    molecule = find_molecule(name)
    shuffle = np.random.default_rng(3).permutation(len(molecule.numbers)).tolist()
    numbers = [molecule.numbers[old] for old in shuffle]
    new_place = {old: new for new, old in enumerate(shuffle)}
    bonds = {(new_place[b], new_place[a]) for a, b in _bonds(molecule)}
    order = order_of_atoms(molecule, numbers, bonds)
    assert order is not None
    assert sorted(order) == list(range(len(numbers)))
    assert tuple(numbers[place] for place in order) == molecule.numbers
    found = {frozenset((order[a], order[b])) for a, b in _bonds(molecule)}
    assert found == {frozenset(pair) for pair in bonds}


def test_its_own_numbering_is_kept() -> None:
    molecule = find_molecule("ethanol")
    assert order_of_atoms(molecule, molecule.numbers, _bonds(molecule)) == list(range(9))


def test_an_isomer_is_another_molecule() -> None:
    ethanol, ether = find_molecule("ethanol"), find_molecule("COC")
    assert order_of_atoms(ethanol, ether.numbers, _bonds(ether)) is None
    water = find_molecule("water")
    assert order_of_atoms(ethanol, water.numbers, _bonds(water)) is None


def test_without_bonds_the_numbering_has_to_be_the_same() -> None:
    bare = Molecule("CO", (6, 8), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.13]]))
    assert order_of_atoms(bare, (6, 8), {(0, 1)}) == [0, 1]
    assert order_of_atoms(bare, (8, 6), {(0, 1)}) is None
