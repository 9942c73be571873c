"""What every labelling method has in common.

A labeler turns one configuration into energy and forces, or raises the `LabelError` that names
the remedy; a number that isn't finite never leaves it. What a label needs (seconds, bytes) can
be asked for before anything is spent. Labelers know nothing of budgets, ledgers or Ray.

An energy-only label has no forces and skips the gradient that would be most of its cost. It is a
method of its own, with `ENERGY_ONLY` at the end of its name, an estimate and a price.

Legend: `A` atoms, `P` pairs. Units: Å, eV, eV/Å; costs in core-seconds, memory in bytes.
"""

import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.distance import pdist

from forgefield.labelers.periodic import closest_approach
from forgefield.labelers.threads import limited_threads
from forgefield.storage.errors import (
    BadConfiguration,
    InputError,
    LabelError,
    NeedsLargerMachine,
)
from forgefield.storage.records import (
    Array,
    Configuration,
    Label,
    Method,
    Molecule,
    Provenance,
)

CLOSEST_APPROACH = 0.4
"""Å; atoms nearer than this are no molecule (the shortest bond known, in H2, is 0.74)."""
DEFAULT_MEMORY_BYTES = 4_000_000_000
ENERGY_ONLY = ", energy only"
"""What the name of every method without forces ends in."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one label should take: its true cost lies within `low`..`high` nine times in ten."""

    core_seconds: float
    low: float
    high: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """What a method hands back: eV, eV/Å (A, 3) or `None`, and numbers that tell its quality."""

    energy: float
    forces_A3: Array | None
    diagnostics: Mapping[str, float] = field(default_factory=dict)


class Labeler(ABC):
    """One method on one machine. Subclasses fill in `compute`; `label` is the same for all.

    `batch` is the number of jobs worth handing over at once, so that a label is never cheaper
    than its own bookkeeping. `memory_bytes` is the most that a label may hold. Of an
    `energy_only` labeler `compute` may leave the forces out; they are dropped in any case. Only a
    `periodic` labeler takes configurations with a cell.
    """

    batch: int = 1
    program: str = ""
    periodic: bool = False

    def __init__(
        self,
        method: Method,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        energy_only: bool = False,
    ) -> None:
        self.method = replace(method, name=method.name + ENERGY_ONLY) if energy_only else method
        self.memory_bytes = memory_bytes
        self.energy_only = energy_only

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of the program that computes."""

    @abstractmethod
    def available(self) -> None:
        """Raise `MissingProgram`, naming what to install, unless the program is here."""

    def check(self, molecule: Molecule) -> None:
        """Raise `InputError` if the method can't label this molecule at all."""
        try:
            self._refuse_periodic(molecule)
        except BadConfiguration as error:
            raise InputError(str(error)) from error

    @abstractmethod
    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """Predicted cost and memory of one label; quick, and nothing is computed."""

    @abstractmethod
    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """Energy, forces and diagnostics; called with the thread counts already set."""

    def prepare(self, molecule: Molecule) -> None:
        """`check`, and learn what configurations of it don't carry (bonds, for force fields)."""
        self.check(molecule)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """Context in which this method's libraries use `threads`."""
        return limited_threads(threads)

    def refuse_too_large(self, configuration: Configuration, threads: int) -> None:
        """Raise `NeedsLargerMachine` where the estimate exceeds the memory of a label."""
        estimate = self.estimate(molecule_of(configuration), threads)
        refuse_over(self.method.name, configuration, estimate, self.memory_bytes)

    def _refuse_periodic(self, shape: Configuration | Molecule) -> None:
        if shape.cell_33 is not None and not self.periodic:
            raise BadConfiguration(
                f"{self.method.name} labels molecules in free space, not periodic boxes; SPC/Fw "
                "and amber14 do, or set pbc to F F F for a cluster"
            )

    def label(self, configuration: Configuration, threads: int = 1) -> Label:
        """Energy of one configuration, forces unless `energy_only`, and where they came from.

        Raises a `LabelError`: `BadConfiguration` for overlapping atoms, `NeedsLargerMachine`
        before or instead of running out of memory, `NotConverged` after every remedy.
        """
        self._refuse_periodic(configuration)
        refuse_overlap(configuration)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            with self.threads_set(threads):
                computed = self.compute(configuration, threads)
        except MemoryError as error:
            raise NeedsLargerMachine(
                f"{self.method.name} ran out of memory with a limit of "
                f"{self.memory_bytes / 1e9:.1f} GB; give the label more"
            ) from error
        if self.energy_only:
            computed = replace(computed, forces_A3=None)
        refuse_nonsense(self.method.name, computed)
        provenance = Provenance(
            program=self.program,
            version=self.version,
            host=platform.node(),
            threads=threads,
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
            diagnostics=dict(computed.diagnostics) | residuals(configuration, computed.forces_A3),
        )
        return Label(computed.energy, computed.forces_A3, provenance)


def molecule_of(configuration: Configuration) -> Molecule:
    """A molecule at this geometry, for what asks about molecules; its bonds aren't known."""
    return Molecule(
        configuration.molecule,
        configuration.numbers,
        configuration.positions_A3,
        configuration.charge,
        configuration.multiplicity,
        cell_33=configuration.cell_33,
    )


def refuse_over(
    method: str, configuration: Configuration, estimate: Estimate, memory_bytes: int
) -> None:
    """Raise `NeedsLargerMachine`, naming both, where the estimate exceeds `memory_bytes`."""
    if estimate.memory_bytes > memory_bytes:
        raise NeedsLargerMachine(
            f"{method} for {configuration.molecule} needs about "
            f"{estimate.memory_bytes / 1e9:.1f} GB and may have {memory_bytes / 1e9:.1f} GB; raise "
            "the memory of a label or take a smaller basis"
        )


def refuse_overlap(configuration: Configuration) -> None:
    """Raise `BadConfiguration` where atoms overlap or a coordinate isn't a number."""
    positions_A3 = np.asarray(configuration.positions_A3, dtype=np.float64)
    if positions_A3.shape != (len(configuration.numbers), 3):
        raise BadConfiguration(
            f"{len(configuration.numbers)} atoms but positions of shape {positions_A3.shape}"
        )
    if not np.isfinite(positions_A3).all():
        raise BadConfiguration("a coordinate is not a finite number; drop this configuration")
    if configuration.cell_33 is None:
        closest = float(pdist(positions_A3).min(initial=np.inf))
    else:
        closest = closest_approach(positions_A3, configuration.cell_33, CLOSEST_APPROACH)
    if closest < CLOSEST_APPROACH:
        raise BadConfiguration(
            f"two atoms are {closest:.3f} Å apart (least allowed: "
            f"{CLOSEST_APPROACH} Å); drop this configuration"
        )


def refuse_nonsense(method: str, computed: Computed) -> None:
    """Raise `LabelError` unless energy and every force are finite."""
    forces_A3 = np.zeros(0) if computed.forces_A3 is None else computed.forces_A3
    if not (np.isfinite(computed.energy) and np.isfinite(forces_A3).all()):
        raise LabelError(f"{method} gave an energy or a force that is not finite")


def residuals(configuration: Configuration, forces_A3: Array | None) -> dict[str, float]:
    """|ΣF| (eV/Å) and |Σ r×F| (eV) about the centroid: zero for exact forces, none for none.

    A periodic box has no torque.
    """
    if forces_A3 is None:
        return {}
    residual_force = float(np.linalg.norm(forces_A3.sum(axis=0)))
    if configuration.cell_33 is not None:
        return {"residual_force": residual_force}
    positions_A3 = configuration.positions_A3
    arms_A3 = positions_A3 - positions_A3.mean(axis=0)
    torque_3 = np.cross(arms_A3, forces_A3).sum(axis=0)
    return {
        "residual_force": residual_force,
        "residual_torque": float(np.linalg.norm(torque_3)),
    }
