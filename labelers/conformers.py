"""Starting conformers: embedded by RDKit's ETKDG, relaxed with MMFF94, alike ones dropped.

Legend: `C` conformers, `A` atoms. Å.
"""

import numpy as np
from rdkit import rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from forgefield.labelers.chemgraph import embedding, graph_of
from forgefield.labelers.distinct import distinct
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Array, Molecule

ALIKE = 0.1
"""Å, in the measure of `distinct`; relaxed conformers nearer than this are one."""


def conformers(molecule: Molecule, most: int, seed: int) -> Array:
    """Up to `most` different relaxed conformers (C, A, 3), the molecule's own geometry first."""
    own_A3 = np.array(molecule.positions_A3)
    found_CA3 = np.array([own_A3, *_embedded(molecule, most - 1, seed)])
    features_CP = sorted_distances(molecule.numbers, pair_distances(found_CA3))
    return found_CA3[distinct(features_CP, ALIKE)]


def _embedded(molecule: Molecule, count: int, seed: int) -> list[Array]:
    graph = graph_of(molecule)
    if graph is None or count < 1:
        return []
    with rdBase.BlockLogs():
        found = list(rdDistGeom.EmbedMultipleConfs(graph, count, embedding(seed)))
        if found and rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
            rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(graph, maxIters=1000)
    return [np.array(graph.GetConformer(i).GetPositions()) for i in found]
