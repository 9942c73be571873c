"""From a file and a method's name to the jobs it means, with everything checked before it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from forgefield.labelers.frame_files import Frame, read_frames
from forgefield.labelers.frame_molecules import Geometries, geometries_of
from forgefield.labelers.labeler import Estimate, Labeler, refuse_overlap
from forgefield.labelers.ordering import similar_order
from forgefield.labelers.registry import labeler_for
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.throughput import Choice, choose_slots
from forgefield.storage.errors import BadConfiguration, InputError
from forgefield.storage.records import Configuration, Failure, Job, Purpose, Tier

ALL_ELECTRONS, ENERGY_ONLY = "all electrons", "energy only"
WARM_TIERS = frozenset({Tier.DFT, Tier.CCSD})
"""Tiers whose labels take long enough to profit from the frame before."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for; `memory_bytes` of each node, for all labels there."""

    file: Path
    out: Path
    method: str
    charge: int | None = None
    multiplicity: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None


def method_name(method: str, *, all_electrons: bool, energy_only: bool) -> str:
    """The name of a method with what options add to it."""
    parts = [part.strip() for part in method.split(",")]
    if all_electrons:
        if any(part.lower() == "frozen core" for part in parts):
            raise InputError(f"{method!r} freezes the core; leave that out with --all-electron.")
        parts.append(ALL_ELECTRONS)
    if energy_only:
        parts.append(ENERGY_ONLY)
    lower = [part.lower() for part in parts]
    once = [part for place, part in enumerate(parts) if part.lower() not in lower[:place]]
    last = [part for part in once if part.lower() == ENERGY_ONLY]
    return ", ".join([part for part in once if part.lower() != ENERGY_ONLY] + last)


@dataclass(frozen=True)
class Work:
    """A checked file: one job a frame, in the file's order."""

    asked: Asked
    labeler: Labeler
    frames: Sequence[Frame]
    geometries: Geometries

    @cached_property
    def jobs(self) -> list[Job]:
        """One job a frame; frames of equal geometry are equal jobs."""
        method = self.labeler.method
        return [Job(shape, method, Purpose.TRAIN) for shape in self.geometries.configurations]

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the jobs."""
        return [job.key() for job in self.jobs]

    @cached_property
    def broken(self) -> dict[str, Failure]:
        """Frames that no method can label, by key: their atoms overlap."""
        found = {}
        for key, job in zip(self.keys, self.jobs, strict=True):
            try:
                refuse_overlap(job.configuration)
            except BadConfiguration as error:
                found[key] = Failure(type(error).__name__, str(error))
        return found

    def estimates(self, threads: int = 1) -> Mapping[str, Estimate]:
        """What a label of each molecule should take."""
        molecules = self.geometries.molecules
        return {name: self.labeler.estimate(m, threads) for name, m in molecules.items()}

    def choose(self, machine: Machine) -> Choice:
        """How labels share the nodes; raises `InputError` where the largest doesn't fit."""
        estimates = self.estimates()
        largest = max(estimates, key=lambda name: estimates[name].memory_bytes)
        need = estimates[largest].memory_bytes
        machine = _limited(machine, self.asked.memory_bytes)
        method = self.labeler.method.name
        choice = choose_slots(machine, need, self.asked.threads, method)
        if not choice.slots.count:
            raise InputError(
                f"No {method} label of {largest} can run here: {choice.why}. Change --memory or "
                "--threads, join a larger machine with --address, or take a smaller basis."
            )
        return choice

    def in_order(self, keys: frozenset[str]) -> list[Job]:
        """The jobs of `keys`, each once, dearest molecules first and neighbours alike."""
        keyed = dict(zip(self.keys, self.jobs, strict=True))
        wanted = [job for key, job in keyed.items() if key in keys]
        if self.labeler.method.tier in WARM_TIERS:
            shapes = [job.configuration for job in wanted]
            wanted = [wanted[place] for place in similar_order(shapes)]
        costs = {name: guess.core_seconds for name, guess in self.estimates().items()}
        return sorted(wanted, key=lambda job: -costs[job.configuration.molecule])


def prepare(asked: Asked) -> Work:
    """Read the file and check every molecule in it; raises `InputError` or `MissingProgram`."""
    labeler = labeler_for(asked.method)
    labeler.available()
    frames = read_frames(asked.file, charge=asked.charge, multiplicity=asked.multiplicity)
    geometries = geometries_of(frames, bonds=labeler.method.tier is Tier.EMPIRICAL)
    for name, molecule in geometries.molecules.items():
        try:
            labeler.check(molecule)
        except InputError as error:
            number = _first_of(name, geometries.configurations)
            raise InputError(f"frame {number} of {asked.file.name}: {error}") from error
    return Work(asked, labeler, frames, geometries)


def _first_of(name: str, configurations: Sequence[Configuration]) -> int:
    return next(n for n, shape in enumerate(configurations) if shape.molecule == name)


def _limited(machine: Machine, memory_bytes: int | None) -> Machine:
    if memory_bytes is None:
        return machine
    if memory_bytes > machine.memory_bytes:
        raise InputError(
            f"--memory asks for {memory_bytes / 1e9:.1f} GB; a node here has "
            f"{machine.memory_bytes / 1e9:.1f} GB for labels. Ask for less."
        )
    return Machine(machine.nodes, machine.cores, memory_bytes)
