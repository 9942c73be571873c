"""Jobs, labels and failures for tests of any room: made from a number, told apart by arithmetic.

A label follows from its geometry (`expected_energy`), so that any mix-up of frames shows.
"""

import numpy as np

from forgefield.storage.records import (
    Array,
    Configuration,
    Failure,
    Job,
    Label,
    Method,
    Outcome,
    Provenance,
    Purpose,
    Tier,
)

XTB = Method(Tier.XTB, "GFN2-xTB")
CCSD = Method(Tier.CCSD, "CCSD(T)/cc-pVDZ, frozen core")
SPECIES = ((8, 1, 1), (6, 1, 1, 1, 1), (6, 8, 1, 1))


def make_job(number: int, method: Method = XTB, purpose: Purpose = Purpose.TRAIN) -> Job:
    """Job `number`: species and geometry follow from the number alone."""
    numbers = SPECIES[number % len(SPECIES)]
    positions = np.random.default_rng(number).normal(size=(len(numbers), 3))
    return Job(Configuration(f"molecule {number % 3}", numbers, positions), method, purpose)


def make_jobs(first: int, count: int, method: Method = XTB) -> list[Job]:
    """Jobs `first` to `first + count - 1`."""
    return [make_job(number, method) for number in range(first, first + count)]


def labelled(job: Job, *, wall_s: float = 0.5, energy_only: bool = False) -> Outcome:
    """A label of two threads that follows from the job's geometry."""
    positions = job.configuration.positions_A3
    forces = None if energy_only else np.sin(positions)
    diagnostics = {"t1": 0.01} if job.method.tier is Tier.CCSD else {"gap_eV": 5.0}
    origin = Provenance("tblite", "0.8", "node1", 2, wall_s, wall_s, diagnostics)
    return Outcome(job, Label(expected_energy(positions), forces, origin))


def expected_energy(positions_A3: Array) -> float:
    """Energy of `labelled` for a geometry, eV; its forces are `sin(positions_A3)`."""
    return float(positions_A3.sum())


def failed(job: Job, kind: str = "NotConverged") -> Outcome:
    """A failed attempt."""
    return Outcome(job, Failure(kind, "no luck"))
