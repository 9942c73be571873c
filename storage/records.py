"""Values that cross rooms: molecules, methods, configurations, jobs, labels and their outcomes.

All are frozen; arrays in them are float64 and must not be written to. Legend of shapes:
`A` atoms. Units: Å, eV, eV/Å, e; costs in micro core-seconds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Tier(StrEnum):
    """A rung of the ladder, cheapest first; `tuple(Tier)` is the ladder."""

    EMPIRICAL = "empirical"
    XTB = "xtb"
    DFT = "dft"
    CCSD = "ccsd"


class Purpose(IntEnum):
    """What a frame was bought for. Nothing but the final evaluation reads `HOLDOUT`."""

    CALIBRATION = 0
    TRAIN = 1
    VALIDATION = 2
    HOLDOUT = 3


@dataclass(frozen=True, slots=True)
class Method:
    """What is really computed at a tier; `name` holds all that changes the number."""

    tier: Tier
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Molecule:
    """Species, bonds, charge, spin and one starting geometry.

    `numbers` (A,) atomic numbers; `positions_A3` (A, 3) Å; `mol_block` the bonds as an MDL
    mol block with explicit hydrogens, or "" where they aren't known; `cell_33` as in
    `Configuration`.
    """

    name: str
    numbers: tuple[int, ...]
    positions_A3: Array
    charge: int = 0
    multiplicity: int = 1
    smiles: str = ""
    mol_block: str = ""
    cell_33: Array | None = None

    def at(self, positions_A3: Array) -> "Configuration":
        """The molecule in another geometry, Å, in its cell where it has one."""
        return Configuration(
            self.name,
            self.numbers,
            positions_A3,
            self.charge,
            self.multiplicity,
            self.cell_33,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """One geometry of a molecule: `numbers` (A,), `positions_A3` (A, 3) Å.

    `cell_33` holds the lattice vectors of a periodic box as rows, Å, zero where the direction is
    not periodic; `None` for a molecule in free space.
    """

    molecule: str
    numbers: tuple[int, ...]
    positions_A3: Array
    charge: int = 0
    multiplicity: int = 1
    cell_33: Array | None = None

    def key(self) -> str:
        """128-bit hash of species, charge, spin, coordinates and cell rounded to 1e-8 Å."""
        cell = b"" if self.cell_33 is None else rounded(self.cell_33).tobytes()
        return geometry_key(self, rounded(self.positions_A3).tobytes() + cell)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One label to buy: a configuration, the method and what the frame is for."""

    configuration: Configuration
    method: Method
    purpose: Purpose

    def key(self) -> str:
        """Identity of what is bought: the same method on the same geometry is the same job."""
        return job_key(self.method, self.configuration.key())


def rounded(lengths: Array) -> NDArray[np.float64]:
    """Lengths as they are hashed: to 1e-8 Å, little endian, no negative zero."""
    return (np.round(np.asarray(lengths, dtype=np.float64), 8) + 0.0).astype("<f8", copy=False)


def geometry_key(configuration: Configuration, lengths: bytes) -> str:
    """`Configuration.key` for the bytes of its `rounded` coordinates and cell."""
    numbers, charge = tuple(configuration.numbers), int(configuration.charge)
    species = _species(numbers, charge, int(configuration.multiplicity))
    return hashlib.blake2b(species + lengths, digest_size=16).hexdigest()


def job_key(method: Method, geometry: str) -> str:
    """`Job.key` for the key of its configuration."""
    return hashlib.blake2b(f"{method.name}|{geometry}".encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _species(numbers: tuple[int, ...], charge: int, multiplicity: int) -> bytes:
    return repr((tuple(map(int, numbers)), charge, multiplicity)).encode()


IMPORTED = "imported"
"""The program of labels that came from a file, whose version is then the file's SHA-256."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a label came from; `diagnostics` holds numbers such as T1 or iteration counts."""

    program: str
    version: str
    host: str
    threads: int
    wall_s: float
    cpu_s: float
    diagnostics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """Energy (eV) and forces (A, 3) (eV/Å; `None` for an energy-only label) with provenance.

    `stress_33` (3, 3) is the derivative of the energy by strain over the volume, eV/Å³ (positive
    under tension, as in ASE), `None` where the method gives none.
    """

    energy: float
    forces_A3: Array | None
    provenance: Provenance
    stress_33: Array | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A label that failed: `kind` names the `LabelError` class, which is the remedy."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one job of a reservation."""

    job: Job
    result: Label | Failure
