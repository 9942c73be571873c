"""RDKit molecules on one side, `Molecule` records on the other, and what lies between.

RDKit writes to stderr from C++; it is silenced locally wherever it is called, never globally.
"""

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

SEED = 20170505
EMBED_SECONDS = 60


def shown(text: str) -> str:
    """Text quoted for a message, shortened and without anything that a terminal obeys."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def refuse_fragments(graph: Chem.Mol, text: str) -> None:
    """Raise `InputError` unless all atoms hang together."""
    count = len(Chem.GetMolFrags(graph))
    if count > 1:
        raise InputError(
            f"{shown(text)} holds {count} separate molecules; give one (a salt without its "
            "counter-ion, one molecule of a cluster)"
        )


def embed(graph: Chem.Mol, text: str) -> None:
    """Give `graph` (explicit hydrogens) one relaxed 3D conformer, always the same one."""
    try:
        found = rdDistGeom.EmbedMolecule(graph, embedding(SEED))
        if found < 0:
            found = rdDistGeom.EmbedMolecule(graph, embedding(SEED, from_random=True))
        if found >= 0 and rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
            rdForceFieldHelpers.MMFFOptimizeMolecule(graph, maxIters=2000)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"no 3D geometry could be made for {shown(text)}: {error}") from error
    if found < 0:
        raise InputError(
            f"no 3D geometry could be made for {shown(text)}; give a file with coordinates"
        )


def embedding(seed: int, *, from_random: bool = False) -> rdDistGeom.EmbedParameters:
    """Settings of RDKit's ETKDG (version 3) that end after `EMBED_SECONDS`."""
    settings = rdDistGeom.ETKDGv3()
    chosen = {"randomSeed": seed, "timeout": EMBED_SECONDS, "useRandomCoords": from_random}
    for name, value in chosen.items():
        setattr(settings, name, value)
    return settings


def molecule_of(graph: Chem.Mol, name: str) -> Molecule:
    """The record of an RDKit molecule with explicit hydrogens and a conformer."""
    radicals = sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())
    return Molecule(
        name=name,
        numbers=tuple(atom.GetAtomicNum() for atom in graph.GetAtoms()),
        positions_A3=np.array(graph.GetConformer().GetPositions(), dtype=np.float64),
        charge=Chem.GetFormalCharge(graph),
        multiplicity=radicals + 1,
        smiles=Chem.MolToSmiles(Chem.RemoveHs(graph)),
        mol_block=Chem.MolToMolBlock(graph),
    )


def graph_of(molecule: Molecule) -> Chem.Mol | None:
    """The RDKit molecule behind a record, bonds and all; `None` where bonds aren't known."""
    if not molecule.mol_block:
        return None
    with rdBase.BlockLogs():
        graph = Chem.MolFromMolBlock(molecule.mol_block, removeHs=False)
    if graph is not None:
        graph.GetConformer().SetPositions(np.ascontiguousarray(molecule.positions_A3))
    return graph
