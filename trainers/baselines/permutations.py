"""Permutations of like atoms that a set of geometries shows, closed to a group.

Source: multi-partite matching (Chmiela et al., Nat. Commun. 9, 3887 (2018); arXiv 1802.09238).
Two geometries are matched by the leading vectors of their distance matrices; of all matches those
along a minimal spanning tree are kept, which are the most certain ones. Every permutation of like
atoms is an exact symmetry of the energy, so a wrong match costs time but never makes it wrong.

Legend: `M` geometries, `A` atoms, `G` permutations. A permutation is an index array: atom
`p[a]` takes the place of atom `a`. Lengths in Å.
"""

from collections import Counter
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import minimum_spanning_tree

from forgefield.storage.records import Array

Index = NDArray[np.int64]
Permutation = tuple[int, ...]

MOST_GEOMETRIES = 200
"""Of more, this many are compared, evenly drawn: pairs grow as the square."""
SMALLEST_DISTANCE = 1e-12


def find_permutations(numbers_A: Index, positions_MA3: Array, most: int = 100) -> Index:
    """The group (G, A), the identity first; generators seen most often go first into it.

    One that would make the group larger than `most` is left out.
    """
    step = max(1, -(-len(positions_MA3) // MOST_GEOMETRIES))
    distance_MAA = _distances(positions_MA3[::step])
    seen = _matches_on_tree(numbers_A, distance_MAA)
    group = {tuple(range(len(numbers_A)))}
    for generator, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0])):
        larger = closed(group | {generator}, most)
        group = larger if larger is not None else group
    return np.array(sorted(group), dtype=np.int64)


def closed(generators: set[Permutation], most: int) -> set[Permutation] | None:
    """The group of all products, `None` where it has more than `most` members."""
    group, fresh = set(generators), set(generators)
    while fresh:
        products = {tuple(a[place] for place in b) for a in fresh for b in generators}
        fresh = products - group
        group |= fresh
        if len(group) > most:
            return None
    return group


def _distances(positions_MA3: Array) -> Array:
    gap = positions_MA3[:, :, None] - positions_MA3[:, None]
    return np.asarray(np.sqrt((gap**2).sum(axis=3)))


def _matches_on_tree(numbers_A: Index, distance_MAA: Array) -> Counter[Permutation]:
    """How often each permutation other than the identity occurs along the spanning tree."""
    count = len(distance_MAA)
    vectors_MAA = np.abs(np.linalg.eigh(distance_MAA)[1][:, :, ::-1])
    unlike_AA = numbers_A[:, None] != numbers_A[None]
    found: dict[tuple[int, int], Permutation] = {}
    cost_MM = np.zeros((count, count))
    for one, other in combinations(range(count), 2):
        match = _match(vectors_MAA[one], vectors_MAA[other], unlike_AA)
        before = float(np.linalg.norm(distance_MAA[one] - distance_MAA[other]))
        turned_AA = distance_MAA[one][np.ix_(match, match)]
        after = float(np.linalg.norm(turned_AA - distance_MAA[other]))
        cost_MM[one, other] = max(min(before, after), SMALLEST_DISTANCE)
        if after < before and not np.isclose(before, after):
            found[one, other] = tuple(match.tolist())
    tree = minimum_spanning_tree(cost_MM).tocoo()
    edges = zip(tree.row.tolist(), tree.col.tolist(), strict=True)
    return Counter(found[edge] for edge in edges if edge in found)


def _match(one_AA: Array, other_AA: Array, unlike_AA: NDArray[np.bool_]) -> Index:
    """Atoms of `one` in the order in which they resemble those of `other`, like to like."""
    gain = one_AA @ other_AA.T
    place, match = linear_sum_assignment(np.where(unlike_AA, 2 * gain.max(), 0.0) - gain)
    order = np.empty(len(match), dtype=np.int64)
    order[match] = place
    return order
