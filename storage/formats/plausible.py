"""Whether numbers can be what the import says they are: units, and the sign of forces.

Three looks, none of which needs a reference calculation. Totals of all-electron methods are near
the sum over atoms of −0.5 Z^2.4 Hartree (within a tenth; a unit is off by four or more). Energies
of one composition lie close together. And between near neighbours the energy changes by minus the
mean force along the way. What can't be judged passes.

Legend of shapes: `F` frames, `A` atoms, `P` pairs of near frames.
"""

from collections import defaultdict
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.formats.units_of_files import (
    ENERGY_UNITS,
    FORCE_UNITS,
    nearest_force_unit,
)
from forgefield.storage.geometry import distance_features, superpose
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_HARTREE

NEAR_LOG = 0.2
TOTAL_EV = 8.0
"""Energies above this per atom are totals, not energies of formation."""
PAIRS = 300
FEWEST_PAIRS = 10
ESCAPE = "If they are right all the same, say --trust."
FARTHEST_A = 0.6
CLEAR = 0.9
"""A correlation above which a slope means something."""
UPHILL = -4.0
"""Standard deviations of Fisher's z below 0 that no forces of the right sign come to by chance."""
LEAST_SLOPE, LARGEST_SLOPE = 0.75, 1.35
"""Noise and curvature stay inside; a bohr for an angstrom, 0.53 or 1.89, doesn't."""


def check_totals(frames: ForeignFrames, unit: str, path: Path) -> None:
    """Raise `InputError` where the energies (eV now, `unit` before) fit in another unit only."""
    atom_E = -0.5 * EV_PER_HARTREE * frames.numbers.astype(np.float64) ** 2.4
    expected_F = np.add.reduceat(atom_E, frames.ptr[:-1])
    ratio = float(np.median(frames.energy_F / expected_F))
    other = _unit_that_fits(ratio, unit)
    if other:
        raise InputError(
            f"The energies of {path} are {ratio:.3g} times those of such molecules if they are in "
            f"{unit}; in {other} they fit. Say --energy-unit {other}. "
            f"{ESCAPE}"
        )


def _unit_that_fits(ratio: float, unit: str) -> str:
    if ratio <= 0 or abs(np.log(ratio)) < NEAR_LOG:
        return ""
    scaled = {u: ratio * size / ENERGY_UNITS[unit] for u, size in ENERGY_UNITS.items() if u != unit}
    return next((u for u, each in scaled.items() if abs(np.log(each)) < NEAR_LOG), "")


def check_neighbours(frames: ForeignFrames, path: Path, known: ForeignFrames | None = None) -> None:
    """Raise `InputError` where an energy is a unit's factor off from others of its composition.

    `known` are frames that were there before, by methods of the same tier.
    """
    others = defaultdict(list)
    for frame, formula in enumerate(_formulas(known) if known else []):
        others[formula].append(float(known.energy_F[frame]) if known else 0.0)
    groups = defaultdict(list)
    for frame, formula in enumerate(_formulas(frames)):
        groups[formula].append(frame)
    for formula, members in groups.items():
        inside = frames.energy_F[members]
        middle = float(np.median(others[formula] or inside))
        if abs(middle) < TOTAL_EV * len(formula):
            continue
        off = [f for f in members if _is_unit_factor(float(frames.energy_F[f]) / middle)]
        if off:
            raise InputError(
                f"Frame {off[0]} of {path} has an energy of {frames.energy_F[off[0]]:.4f} eV, its "
                f"neighbours about {middle:.4f}: {len(off)} frames are off by the factor of a "
                "unit. Import each part in its own unit. "
                f"{ESCAPE}"
            )


def _formulas(frames: ForeignFrames) -> list[tuple[int, ...]]:
    numbers = frames.numbers.tolist()
    return [tuple(sorted(numbers[frames.atoms_of(f)])) for f in range(len(frames))]


def _is_unit_factor(ratio: float) -> bool:
    if ratio <= 0 or abs(np.log(ratio)) < 5 * NEAR_LOG:
        return False
    sizes = ENERGY_UNITS.values()
    return any(abs(np.log(ratio * a / b)) < NEAR_LOG / 4 for a, b in permutations(sizes, 2))


def check_forces(frames: ForeignFrames, path: Path, unit: str = "eV/angstrom") -> None:
    """Raise `InputError` where forces aren't minus the slope of the energies, in size or sign.

    They are in eV/Å now and were taken to be in `unit`.
    """
    predicted_P, found_P = _differences(frames)
    if len(found_P) < FEWEST_PAIRS or not predicted_P.any() or np.ptp(found_P) == 0:
        return
    correlation = float(np.corrcoef(predicted_P, found_P)[0, 1])
    if np.arctanh(np.clip(correlation, -0.999, 0.999)) * np.sqrt(len(found_P) - 3) < UPHILL:
        raise InputError(
            f"The forces of {path} point uphill in {len(found_P)} pairs of near frames: they seem "
            f"to be gradients. Change their sign. {ESCAPE}"
        )
    slope = float(predicted_P @ found_P / (predicted_P @ predicted_P))
    if correlation > CLEAR and not LEAST_SLOPE < slope < LARGEST_SLOPE:
        fitting = nearest_force_unit(slope * FORCE_UNITS[unit])
        raise InputError(
            f"The energies of {path} change {slope:.3g} times as much as its forces say, in "
            f"{len(found_P)} pairs of near frames. Energies and forces seem to be in different "
            f"units: taken for {unit}, forces would fit in {fitting}. Say --force-unit {fitting}. "
            f"{ESCAPE}"
        )


def _differences(frames: ForeignFrames) -> tuple[Array, Array]:
    """Energy differences that forces predict between near frames, and the ones there are, (P,)."""
    groups = defaultdict(list)
    unboxed_F = np.isnan(frames.cell_F33).any(axis=(1, 2))
    for frame in np.flatnonzero(unboxed_F).tolist():
        atoms = frames.atoms_of(frame)
        if not np.isnan(frames.forces_A3[atoms]).any():
            groups[frames.numbers[atoms].tobytes()].append(frame)
    kind = max(groups.values(), key=len, default=[])
    size = int(frames.ptr[kind[0] + 1] - frames.ptr[kind[0]]) if kind else 0
    if len(kind) <= FEWEST_PAIRS or size < 2:
        return np.empty(0), np.empty(0)
    rows = frames.ptr[np.array(kind)][:, None] + np.arange(size)
    positions, forces = frames.positions_A3[rows], frames.forces_A3[rows]
    energies = frames.energy_F[kind]
    pairs = [_difference(positions, forces, i, j) for i, j in _near_pairs(positions)]
    there = [(p, energies[j] - energies[i]) for p, i, j in pairs if np.isfinite(p)]
    table = np.array(there).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _near_pairs(positions_FA3: Array) -> list[tuple[int, int]]:
    """The closest pairs of frames that aren't one geometry, at most `PAIRS`."""
    features = distance_features(positions_FA3)
    far, near = map(np.asarray, cKDTree(features).query(features, k=2))
    order = np.argsort(far[:, 1])
    apart = order[far[order, 1] > 1e-4][:PAIRS]
    return [(int(i), int(near[i, 1])) for i in apart if near[i, 1] != i]


def _difference(positions_FA3: Array, forces_FA3: Array, i: int, j: int) -> tuple[float, int, int]:
    rotation, farthest = superpose(positions_FA3[i], positions_FA3[j])
    if not 1e-4 < farthest < FARTHEST_A:
        return np.nan, i, j
    moved = (positions_FA3[i] - positions_FA3[i].mean(axis=0)) @ rotation
    steps = positions_FA3[j] - positions_FA3[j].mean(axis=0) - moved
    mean_forces = (forces_FA3[i] @ rotation + forces_FA3[j]) / 2
    return -float((mean_forces * steps).sum()), i, j
