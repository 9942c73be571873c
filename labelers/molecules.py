"""Molecules from what people write: a name, a SMILES string or a file.

A molecule found here has explicit hydrogens, one 3D geometry, and a charge and multiplicity
that fit its number of electrons; everything else is refused with the next step to take.
Geometries from names and SMILES are embedded with a fixed seed and relaxed with MMFF94, so
the same text gives the same molecule.
"""

import difflib
import re
from dataclasses import replace
from pathlib import Path

from rdkit import Chem, rdBase

from forgefield.labelers.chemgraph import embed, molecule_of, refuse_fragments, shown
from forgefield.labelers.structure_files import read_structure
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

NAMES: dict[str, str] = {
    "ammonia": "N",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "azobenzene": "c1ccc(cc1)/N=N/c1ccccc1",
    "benzene": "c1ccccc1",
    "ethanol": "CCO",
    "formaldehyde": "C=O",
    "malonaldehyde": "O=CCC=O",
    "methane": "C",
    "methanol": "CO",
    "naphthalene": "c1ccc2ccccc2c1",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "salicylic acid": "OC(=O)c1ccccc1O",
    "toluene": "Cc1ccccc1",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "water": "O",
}
"""MD17's molecules and a few small ones. Azobenzene is trans; malonaldehyde is the dialdehyde
with two rotating CHO groups, as in MD17, not the enol with its hydrogen bond (OC=CC=O)."""

LONGEST_TEXT = 2000
MOST_ATOMS = 500
_FILE_LIKE = re.compile(r"\.(xyz|extxyz|sdf|mol|mol2|pdb|cif|json|traj|gjf|com|log|out|gen|vasp)$")


def find_molecule(
    text: str, *, charge: int | None = None, multiplicity: int | None = None
) -> Molecule:
    """The molecule meant by a name from `NAMES`, a SMILES string or a path to a file.

    `charge` must agree with the SMILES where one is given; `multiplicity` is the lowest
    possible unless stated. Raises `InputError`.
    """
    text = text.strip()
    _refuse_hostile(text)
    name = re.sub(r"[\s_-]+", " ", text).lower()
    if name in NAMES:
        molecule = _from_smiles(NAMES[name], name)
    elif _is_file(text):
        molecule = read_structure(Path(text), charge)
    elif _FILE_LIKE.search(text.lower()):
        raise InputError(f"no file {shown(text)}; check the path")
    else:
        molecule = _from_smiles(text, "")
    return _with_spin(molecule, charge, multiplicity)


def _refuse_hostile(text: str) -> None:
    if not text:
        raise InputError("no molecule given; give a name such as 'ethanol', a SMILES or a file")
    if len(text) > LONGEST_TEXT:
        raise InputError(
            f"a molecule of {len(text)} characters ({shown(text)}); the most is {LONGEST_TEXT}: "
            "write it to an SDF or xyz file and give its path"
        )
    if not text.isprintable():
        raise InputError(f"the molecule {shown(text)} holds control characters; retype it")


def _is_file(text: str) -> bool:
    try:
        return ("." in text or "/" in text) and Path(text).is_file()
    except (OSError, ValueError):
        return False


def _from_smiles(smiles: str, name: str) -> Molecule:
    with rdBase.BlockLogs():
        graph = _parse(smiles)
        refuse_fragments(graph, smiles)
        graph = Chem.AddHs(graph)
        if graph.GetNumAtoms() > MOST_ATOMS:
            raise InputError(
                f"{shown(smiles)} has {graph.GetNumAtoms()} atoms; at most {MOST_ATOMS} are "
                "embedded from SMILES: give a file with coordinates"
            )
        embed(graph, smiles)
        return molecule_of(graph, name or Chem.MolToSmiles(Chem.RemoveHs(graph)))


def _parse(smiles: str) -> Chem.Mol:
    try:
        graph = Chem.MolFromSmiles(smiles)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{shown(smiles)} is not a molecule: {error}") from error
    if graph is None or graph.GetNumAtoms() == 0:
        raise InputError(_unknown(smiles))
    if any(atom.GetAtomicNum() == 0 for atom in graph.GetAtoms()):
        raise InputError(f"{shown(smiles)} holds a wildcard atom; name every element")
    return graph


def _unknown(text: str) -> str:
    close = difflib.get_close_matches(text.lower(), NAMES, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return (
        f"{shown(text)} is no known name, readable SMILES or file; {hint}"
        f"names: {', '.join(sorted(NAMES))}"
    )


def _with_spin(molecule: Molecule, charge: int | None, multiplicity: int | None) -> Molecule:
    """The molecule with the stated charge and multiplicity, if its electrons allow them."""
    if charge is not None and charge != molecule.charge:
        raise InputError(
            f"{molecule.name} has charge {molecule.charge}, not {charge}; write the charge into "
            "the SMILES ([NH4+]), or give a file of coordinates and the charge"
        )
    electrons = sum(molecule.numbers) - molecule.charge
    spin = molecule.multiplicity if multiplicity is None else multiplicity
    if spin < 1 or spin - 1 > electrons or (electrons - spin) % 2 == 0:
        kind = "odd" if electrons % 2 == 0 else "even"
        raise InputError(
            f"{molecule.name} has {electrons} electrons, so its multiplicity is {kind}, not "
            f"{spin}; change the multiplicity or the charge ({molecule.charge})"
        )
    return replace(molecule, multiplicity=spin)
