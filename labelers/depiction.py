"""The molecule on paper: its formula, a drawing, and which of its atoms are alike.

RDKit's canonical ranks without tie-breaking tell atoms that symmetry makes equal. Hydrogens are
named by the atom that they sit on, since that is how chemists speak of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from forgefield.labelers.chemgraph import graph_of
from forgefield.storage.elements import SYMBOLS
from forgefield.storage.records import Molecule

SIZE = (340, 220)
DRAWING = {
    "clearBackground": False,
    "bondLineWidth": 1.6,
    "padding": 0.08,
    "fixedBondLength": 42,
    "explicitMethyl": True,
    "annotationFontScale": 0.75,
}
"""RDKit's drawing options."""


@dataclass(frozen=True, slots=True, eq=False)
class AtomKinds:
    """Atoms told apart: `kind_A` indexes `names`, such as `C1` and `H on O`."""

    names: tuple[str, ...]
    kind_A: NDArray[np.int64]


def kinds_of(molecule: Molecule) -> AtomKinds:
    """Symmetry-distinct atoms where bonds are known, else the elements."""
    graph = _graph(molecule)
    if graph is None:
        return _as_kinds([SYMBOLS[number] for number in molecule.numbers])
    heavy = _heavy_names(graph)
    names = []
    for atom in graph.GetAtoms():
        partners = sorted({heavy.get(n.GetIdx(), "H") for n in atom.GetNeighbors()})
        hydrogen = atom.GetIdx() not in heavy
        names.append(
            f"H on {', '.join(partners) or 'nothing'}" if hydrogen else heavy[atom.GetIdx()]
        )
    return _as_kinds(names)


def _as_kinds(names: Sequence[str]) -> AtomKinds:
    order = tuple(sorted(set(names), key=_natural))
    return AtomKinds(order, np.array([order.index(name) for name in names], dtype=np.int64))


def _natural(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """Heavy atoms first; C2 before C10."""
    parts = re.findall(r"\d+|\D+", name)
    return name.startswith("H on"), [(int(p), "") if p.isdigit() else (-1, p) for p in parts]


def _heavy_names(graph: Chem.Mol) -> dict[int, str]:
    """Name of each heavy atom: its symbol, numbered where its element has several kinds."""
    ranks = list(Chem.CanonicalRankAtoms(graph, breakTies=False, includeChirality=False))
    heavy = [atom for atom in graph.GetAtoms() if atom.GetAtomicNum() > 1]
    kinds: dict[str, list[int]] = {}
    for atom in heavy:
        ranked = kinds.setdefault(atom.GetSymbol(), [])
        if ranks[atom.GetIdx()] not in ranked:
            ranked.append(ranks[atom.GetIdx()])
    names = {}
    for atom in heavy:
        ranked = kinds[atom.GetSymbol()]
        number = str(ranked.index(ranks[atom.GetIdx()]) + 1) if len(ranked) > 1 else ""
        names[atom.GetIdx()] = atom.GetSymbol() + number
    return names


def _graph(molecule: Molecule) -> Chem.Mol | None:
    """The molecule's graph; `None` where bonds aren't known or don't fit the atoms."""
    graph = graph_of(molecule)
    if graph is None:
        return None
    numbers = tuple(atom.GetAtomicNum() for atom in graph.GetAtoms())
    return graph if numbers == tuple(molecule.numbers) else None


def structure(molecule: Molecule, *, numbered: bool = False) -> str | None:
    """The structural formula as an SVG document, atoms numbered as in `kinds_of` if asked.

    Drawn in black on nothing; `None` where bonds aren't known.
    """
    graph = _graph(molecule)
    if graph is None:
        return None
    with rdBase.BlockLogs():
        names = _heavy_names(graph) if numbered else {}
        for index, text in names.items():
            if text[-1].isdigit():
                graph.GetAtomWithIdx(index).SetProp("atomNote", text)
        flat = Chem.RemoveHs(graph)
        rdDepictor.Compute2DCoords(flat)
        return _draw(flat)


def _draw(graph: Chem.Mol) -> str:
    drawer = rdMolDraw2D.MolDraw2DSVG(*SIZE)
    options = drawer.drawOptions()
    options.useBWAtomPalette()
    for name, value in DRAWING.items():
        setattr(options, name, value)
    drawer.DrawMolecule(graph)
    drawer.FinishDrawing()
    svg: str = drawer.GetDrawingText()
    return svg
