"""Structures from files, with bonds wherever they are written or can be perceived.

MDL and Tripos files carry bonds and are read by RDKit; everything else is read by ASE (first
frame), and bonds are perceived from distances and the charge. Where that fails the molecule
has none, which only the force-field tier minds.
"""

import warnings
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from forgefield.labelers.chemgraph import embed, molecule_of, refuse_fragments, shown
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Molecule

WITH_BONDS = {".sdf", ".mol", ".mol2"}
_PERCEPTION_STEPS = 10_000


def read_structure(path: Path, charge: int | None) -> Molecule:
    """The first molecule of a file; `charge` e, 0 unless the file says otherwise.

    Raises `InputError` for a file that is empty, unreadable, periodic or holds several
    molecules.
    """
    if path.stat().st_size == 0:
        raise InputError(f"the file {shown(str(path))} is empty")
    if path.suffix.lower() in WITH_BONDS:
        return _read_with_bonds(path)
    numbers, positions_A3 = _read_atoms(path)
    with rdBase.BlockLogs():
        refuse_fragments(connected(numbers, positions_A3), str(path))
    return perceived(path.stem, numbers, positions_A3, charge or 0)


def _read_with_bonds(path: Path) -> Molecule:
    with rdBase.BlockLogs():
        graph = _first_graph(path)
        if graph is None or graph.GetNumAtoms() == 0:
            raise InputError(
                f"RDKit reads no molecule in {shown(str(path))}; check valences and format"
            )
        refuse_fragments(graph, str(path))
        flat = not (graph.GetNumConformers() and graph.GetConformer().Is3D())
        graph = Chem.AddHs(graph, addCoords=not flat)
        if flat:
            embed(graph, str(path))
        return molecule_of(graph, path.stem)


def _first_graph(path: Path) -> Chem.Mol | None:
    try:
        if path.suffix.lower() == ".mol2":
            return Chem.MolFromMol2File(str(path), removeHs=False)
        return next(iter(Chem.SDMolSupplier(str(path), removeHs=False)), None)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{shown(str(path))} can't be read: {error}") from error


def _read_atoms(path: Path) -> tuple[tuple[int, ...], Array]:
    """Atomic numbers and positions (A, 3) Å of the first frame, through ASE."""
    import ase.io

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = ase.io.read(path, index=0)
    except Exception as error:  # ASE's readers raise anything at all
        reason = str(error) or type(error).__name__
        raise InputError(
            f"ASE can't read {shown(str(path))}: {reason[:200]}; write it as xyz or SDF"
        ) from error
    if len(atoms) == 0 or (atoms.numbers < 1).any():
        raise InputError(f"{shown(str(path))} holds no atoms, or atoms of no element")
    if atoms.pbc.any():
        raise InputError(f"{shown(str(path))} is periodic; only single molecules are labelled")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{shown(str(path))} holds a coordinate that is not a number")
    return tuple(int(n) for n in atoms.numbers), np.array(atoms.positions, dtype=np.float64)


def perceived(name: str, numbers: tuple[int, ...], positions_A3: Array, charge: int) -> Molecule:
    """The molecule with bonds perceived from distances, or without bonds where that fails."""
    bare = Molecule(name, numbers, positions_A3, charge)
    with rdBase.BlockLogs():
        graph = connected(numbers, positions_A3)
        try:
            rdDetermineBonds.DetermineBondOrders(
                graph, charge=charge, maxIterations=_PERCEPTION_STEPS
            )
            Chem.SanitizeMol(graph)
        except (RuntimeError, ValueError):
            return bare
        if Chem.GetFormalCharge(graph) != charge:
            return bare
        return molecule_of(graph, name)


def connected(numbers: tuple[int, ...], positions_A3: Array) -> Chem.Mol:
    """An RDKit molecule whose atoms are joined, by single bonds, where they are close."""
    graph = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    conformer = Chem.Conformer(len(numbers))
    conformer.SetPositions(np.ascontiguousarray(positions_A3))
    graph.AddConformer(conformer)
    rdDetermineBonds.DetermineConnectivity(graph)
    return graph
