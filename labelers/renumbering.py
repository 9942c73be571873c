"""The atoms of a molecule among those of a file that numbers them otherwise.

Matched by elements and bonds alone, whatever the order of the bonds; of several ways to match (the
hydrogens of a methyl group) any will do, since like atoms are alike to every method.

Legend: `A` atoms.
"""

from collections.abc import Collection, Sequence

from rdkit import Chem

from forgefield.storage.records import Molecule

Pair = tuple[int, int]


def order_of_atoms(
    molecule: Molecule, numbers: Sequence[int], bonds: Collection[Pair]
) -> list[int] | None:
    """Of each atom (A,) of `molecule` its place among `numbers`, which `bonds` connect.

    `None` where that is another molecule. One whose bonds aren't known keeps its numbering.
    """
    in_place = list(range(len(numbers)))
    same_numbers = tuple(numbers) == molecule.numbers
    if not molecule.mol_block:
        return in_place if same_numbers else None
    ours, theirs = _bonds(molecule), {_sorted(pair) for pair in bonds}
    if same_numbers and ours == theirs:
        return in_place
    if sorted(numbers) != sorted(molecule.numbers) or len(ours) != len(theirs):
        return None
    found = _graph(numbers, theirs).GetSubstructMatch(_graph(molecule.numbers, ours))
    return list(found) or None


def _bonds(molecule: Molecule) -> set[Pair]:
    graph = Chem.MolFromMolBlock(molecule.mol_block, sanitize=False, removeHs=False)
    return {_sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in graph.GetBonds()}


def _sorted(pair: Pair) -> Pair:
    return min(pair), max(pair)


def _graph(numbers: Sequence[int], bonds: Collection[Pair]) -> Chem.Mol:
    """A molecule of single bonds."""
    graph = Chem.RWMol()
    for number in numbers:
        graph.AddAtom(Chem.Atom(int(number)))
    for one, other in bonds:
        graph.AddBond(one, other, Chem.BondType.SINGLE)
    return graph.GetMol()
