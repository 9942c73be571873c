"""Periodic boxes: molecules made whole, the cell in the form that OpenMM wants, what is refused.

Legend: `A` atoms. A cell (3, 3) has lattice vectors as rows, Å.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

BOND_SLACK = 0.3
"""Å beyond the sum of two covalent radii within which atoms are bonded."""


def refuse_bad_cell(cell_33: Array, cutoff_A: float) -> None:
    """Raise `InputError` for a cell that is flat, left-handed or narrower than two cutoffs."""
    volume = float(np.linalg.det(cell_33))
    if cell_33.shape != (3, 3) or not np.isfinite(cell_33).all() or volume <= 0:
        raise InputError(
            "a periodic box needs three right-handed lattice vectors, periodic in all directions; "
            f"this cell has the volume {volume:.3g} Å³"
        )
    vectors_33 = standard_form(cell_33)[0]
    faces_33 = np.cross(vectors_33[[1, 2, 0]], vectors_33[[2, 0, 1]])
    narrowest = volume / float(np.linalg.norm(faces_33, axis=1).max())
    if narrowest < 2 * cutoff_A:
        raise InputError(
            f"the box is {narrowest:.2f} Å wide and needs twice the cutoff of {cutoff_A:g} Å; take "
            f"a larger box, or write ', cutoff {int(5 * narrowest) / 10:g}' behind the method"
        )


def standard_form(cell_33: Array) -> tuple[Array, Array]:
    """Reduced lower-triangular lattice vectors, and the rotation (3, 3) to them, x @ rotation.

    The form that OpenMM asks for: a along x, b in the xy plane, no vector longer sideways than half
    of the one before it.
    """
    rotation, upper = np.linalg.qr(cell_33.T)
    signs = np.sign(np.diagonal(upper))
    rotation, vectors = rotation * signs, (upper * signs[:, None]).T.copy()
    vectors[2] -= vectors[1] * np.round(vectors[2, 1] / vectors[1, 1])
    vectors[2] -= vectors[0] * np.round(vectors[2, 0] / vectors[0, 0])
    vectors[1] -= vectors[0] * np.round(vectors[1, 0] / vectors[0, 0])
    return vectors, rotation


@dataclass(frozen=True, slots=True, eq=False)
class BondTree:
    """Each atom but the first of a molecule, with a bonded one, by the number of bonds between.

    `levels` holds pairs (atoms, bonded atoms) of index arrays; what is bonded to was placed before.
    """

    levels: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]

    @classmethod
    def of(cls, pairs: NDArray[np.intp], atoms: int) -> "BondTree":
        """From bonds, (bonds, 2)."""
        graph = coo_array((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(atoms, atoms))
        _, molecule_A = connected_components(graph, directed=False)
        first = np.unique(molecule_A, return_index=True)[1]
        roots = np.stack([np.full(len(first), atoms), first], axis=1)
        linked = np.concatenate([pairs, roots])  # an extra node bonds the first atoms
        size = atoms + 1
        whole = coo_array((np.ones(len(linked), dtype=np.int8), linked.T), shape=(size, size))
        order, parent = breadth_first_order(whole.tocsr(), atoms, directed=False)
        depth = np.zeros(size, dtype=np.intp)
        for atom in order[1:]:
            depth[atom] = depth[parent[atom]] + 1
        deepest = int(depth[:atoms].max(initial=0))
        at_depth = [np.flatnonzero(depth[:atoms] == d) for d in range(2, deepest + 1)]
        return cls(tuple((children, parent[children].astype(np.intp)) for children in at_depth))

    def whole(self, positions_A3: Array, cell_33: Array) -> Array:
        """Positions (A, 3) with every molecule in one piece, moved by lattice vectors only."""
        fractions_A3 = positions_A3 @ np.linalg.inv(cell_33)
        shifts_A3 = np.zeros_like(fractions_A3)
        for children, parents in self.levels:
            apart = fractions_A3[children] - fractions_A3[parents] - shifts_A3[parents]
            shifts_A3[children] = -np.round(apart)
        pieced: Array = positions_A3 + shifts_A3 @ cell_33
        return pieced


def whole_molecules(numbers: tuple[int, ...], positions_A3: Array, cell_33: Array) -> Array:
    """Positions (A, 3) with every molecule in one piece; bonds are found by distances."""
    from ase.data import covalent_radii
    from ase.neighborlist import primitive_neighbor_list

    reach = covalent_radii[list(numbers)] + BOND_SLACK / 2
    found = primitive_neighbor_list("ij", (True,) * 3, cell_33, positions_A3, reach)
    pairs = np.stack(found, axis=1).astype(np.intp)
    return BondTree.of(pairs, len(numbers)).whole(positions_A3, cell_33)


def closest_approach(positions_A3: Array, cell_33: Array, within: float) -> float:
    """The least distance of two atoms or images, Å; exact where it is below `within`."""
    inverse_33 = np.linalg.inv(cell_33)
    fractions_A3 = (positions_A3 @ inverse_33) % 1.0
    margin_3 = within * np.linalg.norm(inverse_33, axis=0)
    steps = np.array(list(product((-1, 0, 1), repeat=3)))
    images_X3 = (fractions_A3 + steps[:, None]).reshape(-1, 3)
    near = ((images_X3 >= -margin_3) & (images_X3 <= 1 + margin_3)).all(axis=1)
    found = cKDTree(images_X3[near] @ cell_33).query(fractions_A3 @ cell_33, k=2)
    return float(np.asarray(found[0])[:, 1].min())
