"""One stored label against its own method: the same number again, and forces as slopes.

The slope is -dE/ds along a random unit vector over all 3A coordinates, from energies at ±1 and ±2
steps, f'(0) = (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12 h.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from forgefield.labelers.ccsd_t import CcsdTLabeler
from forgefield.labelers.labeler import ENERGY_ONLY, Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.platform.auditing.documents import Check
from forgefield.platform.auditing.limits import AUDIT_NOISE, LIMITS, STEP
from forgefield.platform.auditing.sample import Part, configuration, foreign_geometries
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import LabelError
from forgefield.storage.frames import hex_keys
from forgefield.storage.records import Array, Configuration, Molecule, Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
"""Steps, and their weights in a first derivative."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A method as it was bought, the same without forces, and the threads of a label."""

    whole: Labeler
    energy: Labeler
    threads: int

    @classmethod
    def of(cls, method: str, molecule: Molecule, memory_bytes: int, threads: int) -> "Bench":
        """Labelers ready for the molecule; raises `MissingProgram` or `InputError`."""
        bare = method.removesuffix(ENERGY_ONLY)
        pair = [labeler_for(n, memory_bytes=memory_bytes) for n in (method, bare + ENERGY_ONLY)]
        for labeler in pair:
            labeler.available()
            labeler.prepare(molecule)
            if isinstance(labeler, CcsdTLabeler):
                labeler.noise = AUDIT_NOISE
        return cls(pair[0], pair[1], threads)

    def slope(self, at: Configuration, direction_A3: Array) -> float:
        """Force along a unit vector, eV/Å, from energies alone."""
        total = 0.0
        for steps, weight in STENCIL:
            moved_A3 = at.positions_A3 + steps * STEP * direction_A3
            label = self.energy.label(replace(at, positions_A3=moved_A3), self.threads)
            total += weight * label.energy
        return -total / STEP


def check(part: Part, place: int, bench: Bench, seed: int) -> Check:
    """Recompute one label; what goes wrong with that is the label's problem too."""
    started, frames = time.perf_counter(), part.frames
    found = Check(
        seq=int(frames.seq_F[place]),
        job=hex_keys(frames.key_F[place : place + 1])[0],
        tier=part.tier,
        purpose=Purpose(frames.purpose_F[place]).name.lower(),
    )
    try:
        found = found.model_copy(update=_compared(part, place, bench, seed))
        problem = _problem(found) or _geometry_problem(part, place)
    except LabelError as error:
        problem = f"could not be made again: {type(error).__name__}: {error}"
    return found.model_copy(update={"problem": problem, "wall_s": time.perf_counter() - started})


def _compared(part: Part, place: int, bench: Bench, seed: int) -> dict[str, float]:
    frames, at = part.frames, configuration(part.frames, place)
    again = bench.whole.label(at, bench.threads)
    changes = {"energy_change": abs(again.energy - float(frames.energy_F[place]))}
    forces_A3 = frames.forces_A3[frames.atoms_of(place)]
    if again.forces_A3 is not None:
        changes["force_change"] = float(np.abs(again.forces_A3 - forces_A3).max())
        direction_A3 = direction(seed, int(frames.seq_F[place]), len(forces_A3))
        along = float((forces_A3 * direction_A3).sum())
        changes["slope_error"] = abs(along - bench.slope(at, direction_A3))
    return {name: value * KCAL_PER_MOL_PER_EV for name, value in changes.items()}


def direction(seed: int, seq: int, atoms: int) -> Array:
    """A random unit vector (A, 3), the same for the same label and seed."""
    vector_A3 = np.random.default_rng([seed, seq]).normal(size=(atoms, 3))
    unit_A3: Array = vector_A3 / np.linalg.norm(vector_A3)
    return unit_A3


def _geometry_problem(part: Part, place: int) -> str:
    own = part.frames.select(np.array([place]))
    return "the geometry isn't the one that was bought" if len(foreign_geometries(own)) else ""


def _problem(found: Check) -> str:
    """In words what is beyond its limit; a number that isn't finite is."""
    limits = LIMITS[Tier(found.tier)]
    parts = (
        (found.energy_change, limits.energy, "energy differs by {} kcal/mol"),
        (found.force_change, limits.force, "a force component differs by {} kcal/mol/Å"),
        (found.slope_error, limits.slope, "forces miss the energies' slope by {} kcal/mol/Å"),
    )
    return "; ".join(
        f"{words.format(three_digits(value))} (at most {three_digits(most)})"
        for value, most, words in parts
        if value is not None and not value <= most
    )
