"""A molecule cut into residues, so that templates of a force field can be laid on them.

A `Molecule` has elements and bonds, but no names of residues or atoms, whether it came from SMILES
or from a PDB file; so residues are found from the bonds alone. Chains are cut at amide bonds of
the backbone, at disulfide bridges and, in nucleic acids, between O3' and P; they are followed from
the N or the 5' end. Side-chain amides (Asn, Gln) stay whole. Separate molecules, such as waters,
are residues of their own.

Bonds that aren't known (large PDB files, whose bond orders are hard to perceive) are taken from
distances: templates ask for bonds, not for bond orders.
"""

from collections import Counter
from collections.abc import Iterator

from openmm import app
from rdkit import Chem

from forgefield.labelers.chemgraph import graph_of
from forgefield.labelers.structure_files import connected
from forgefield.storage.records import Molecule

H, C, N, O, P, S = 1, 6, 7, 8, 15, 16
MOST_NAMED = 6
"""Atoms of a residue that a message names."""


def residues(graph: Chem.Mol) -> list[tuple[int, ...]]:
    """Atom indices of every residue, along each chain, atoms in the molecule's order."""
    links = [*_peptide_bonds(graph), *_nucleotide_bonds(graph)]
    pieces = _pieces(graph, {*links, *_disulfides(graph)})
    owner = {atom: piece for piece in pieces for atom in piece}
    after = {owner[first]: owner[second] for first, second in links}
    return list(_in_order(sorted(pieces), after))


def topology(molecule: Molecule) -> tuple[app.Topology, tuple[int, ...]]:
    """An OpenMM topology, and which atom of the molecule each of its atoms is."""
    graph = graph_of(molecule)
    if graph is None:
        graph = connected(molecule.numbers, molecule.positions_A3)
    made = app.Topology()
    chain = made.addChain()
    atoms = {}
    for number, indices in enumerate(residues(graph), 1):
        residue = made.addResidue(f"{number}", chain)
        for index in indices:
            symbol = graph.GetAtomWithIdx(index).GetSymbol()
            element = app.Element.getBySymbol(symbol)
            atoms[index] = made.addAtom(f"{symbol}{index + 1}", element, residue)
    for bond in graph.GetBonds():
        made.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    return made, tuple(atoms)


def described(residue: app.topology.Residue) -> str:
    """A residue for a message: its number, formula and first atoms (element and number)."""
    atoms = list(residue.atoms())
    counts = Counter(atom.element.symbol for atom in atoms)
    formula = "".join(s + str(counts[s]) * (counts[s] > 1) for s in sorted(counts))
    named = " ".join(atom.name for atom in atoms[:MOST_NAMED])
    more = " …" if len(atoms) > MOST_NAMED else ""
    return f"residue {residue.name} ({formula}: {named}{more})"


def _peptide_bonds(graph: Chem.Mol) -> Iterator[tuple[int, int]]:
    """(C, N) of every backbone amide, found by elements and neighbours.

    N leads on to saturated carbons, or ends the chain as –NH2 beside a carbon with nitrogen; so the
    amides in side chains (Asn, Gln) and in nucleobases aren't cut.
    """
    for bond in graph.GetBonds():
        carbon, nitrogen = _by_element(bond)
        if (carbon.GetAtomicNum(), nitrogen.GetAtomicNum()) != (C, N):
            continue
        beyond = [a for a in nitrogen.GetNeighbors() if a.GetAtomicNum() != H]
        goes_on = len(beyond) > 1 and all(
            _is_saturated(a) for a in beyond if a.GetIdx() != carbon.GetIdx()
        )
        ends = len(beyond) == 1 and _is_alpha_beside(carbon)
        if _is_acyl(carbon) and (goes_on or ends):
            yield carbon.GetIdx(), nitrogen.GetIdx()


def _nucleotide_bonds(graph: Chem.Mol) -> Iterator[tuple[int, int]]:
    """(O3', P) of every link: the carbon behind O3' has one hydrogen, that behind O5' two."""
    for bond in graph.GetBonds():
        oxygen, phosphorus = _by_element(bond)
        if (oxygen.GetAtomicNum(), phosphorus.GetAtomicNum()) == (O, P):
            carbons = [a for a in oxygen.GetNeighbors() if a.GetAtomicNum() == C]
            if any(_elements(carbon).count(H) == 1 for carbon in carbons):
                yield oxygen.GetIdx(), phosphorus.GetIdx()


def _by_element(bond: Chem.Bond) -> tuple[Chem.Atom, Chem.Atom]:
    """The ends of a bond, the lighter first."""
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    return ends if ends[0].GetAtomicNum() <= ends[1].GetAtomicNum() else ends[::-1]


def _is_saturated(atom: Chem.Atom) -> bool:
    return bool(atom.GetAtomicNum() == C and atom.GetDegree() == 4)


def _is_acyl(carbon: Chem.Atom) -> bool:
    """Whether its neighbours are a saturated carbon, nitrogen (with or without H) and =O."""
    degrees = {a.GetAtomicNum(): a.GetDegree() for a in carbon.GetNeighbors()}
    return sorted(_elements(carbon)) == [C, N, O] and (degrees[C], degrees[O]) == (4, 1)


def _is_alpha_beside(carbon: Chem.Atom) -> bool:
    return any(N in _elements(a) for a in carbon.GetNeighbors() if a.GetAtomicNum() == C)


def _elements(atom: Chem.Atom) -> list[int]:
    return [a.GetAtomicNum() for a in atom.GetNeighbors()]


def _disulfides(graph: Chem.Mol) -> Iterator[tuple[int, int]]:
    for bond in graph.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        if all(a.GetAtomicNum() == S and a.GetDegree() == 2 for a in ends):
            yield ends[0].GetIdx(), ends[1].GetIdx()


def _pieces(graph: Chem.Mol, cuts: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    editable = Chem.RWMol(graph)
    for pair in cuts:
        editable.RemoveBond(*pair)
    return [tuple(sorted(piece)) for piece in Chem.GetMolFrags(editable)]


def _in_order(
    pieces: list[tuple[int, ...]], after: dict[tuple[int, ...], tuple[int, ...]]
) -> Iterator[tuple[int, ...]]:
    """Chains one after another from their first residue, then rings from any."""
    left = dict.fromkeys(pieces)
    firsts = [piece for piece in pieces if piece not in set(after.values())]
    for start in [*firsts, *pieces]:
        piece: tuple[int, ...] | None = start
        while piece in left:
            del left[piece]
            yield piece
            piece = after.get(piece)
