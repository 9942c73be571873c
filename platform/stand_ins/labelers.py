"""Labelers that stand in for others, and what their labels are charged.

A stand-in answers like any labeler. What it charges is a stated price, not its time, so that
ledger, dispatcher and quote treat a label from a file as they would the real one. Failures and the
spread of prices follow from the geometry's hash: the same in every process and on every start.
"""

import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager

from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.platform.stand_in_names import cast_of, is_posing, replayed_name
from forgefield.platform.stand_ins.recorded import configuration_of, recorded
from forgefield.platform.stand_ins.settings import Posed, Replayed
from forgefield.storage.errors import BadConfiguration, InputError, NotConverged
from forgefield.storage.records import Configuration, Job, Method, Molecule, Tier

StandIn = Replayed | Posed
REPLAY_MEMORY_BYTES = 500_000_000
"""What a worker holds that has read a file of 10,000 frames."""


class ReplayLabeler(Labeler):
    """Labels of a file: exactly those geometries, at the stated price."""

    program = "replay"

    def __init__(self, tier: Tier, settings: Replayed) -> None:
        super().__init__(Method(tier, replayed_name(settings.method)), REPLAY_MEMORY_BYTES)
        self.settings = settings
        self._file: LabelledFile | None = None
        self._places: dict[str, int] = {}

    @property
    def version(self) -> str:
        """The file's hash."""
        return "" if self._file is None else self._file.sha256[:16]

    def available(self) -> None:
        """Raise `InputError` unless this machine sees the file."""
        if not self.settings.file.is_file():
            raise InputError(
                f"{platform.node()} sees no file {self.settings.file} to replay. Check the path; "
                "on a cluster it must be one that all nodes share."
            )

    def check(self, molecule: Molecule) -> None:
        """Raise `InputError` if the file is of another molecule or hardly in its unit."""
        super().check(molecule)
        recorded(self.settings, self.method.tier, molecule)

    def prepare(self, molecule: Molecule) -> None:
        """Read the file."""
        self._file = recorded(self.settings, self.method.tier, molecule)
        shapes = [configuration_of(self._file, molecule, at) for at in range(len(self._file))]
        self._places = {shape.key(): place for place, shape in enumerate(shapes)}

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """The stated price, whatever the molecule."""
        del molecule, threads
        price, spread = self.settings.price, self.settings.spread
        return Estimate(price, price * (1 - spread), price * (1 + spread), REPLAY_MEMORY_BYTES)

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """The label that the file has; raises `BadConfiguration` where it has none."""
        del threads
        key = configuration.key()
        if self._file is None or key not in self._places:
            raise BadConfiguration(f"no frame of {self.settings.file} has this geometry")
        if _chance(key, 0) < self.settings.failures:
            raise NotConverged("replayed as a failure, as replay.failures asks for")
        place = self._places[key]
        return Computed(float(self._file.energy_N[place]), self._file.forces_NA3[place])

    def price_of(self, configuration: Configuration) -> float:
        """Core-seconds that this label is charged."""
        swing = 2 * _chance(configuration.key(), 1) - 1
        return self.settings.price * (1 + self.settings.spread * swing)


class PosingLabeler(Labeler):
    """A method computed where another one belongs, at a stated price or at what it takes."""

    def __init__(self, tier: Tier, name: str, price: float | None, memory_bytes: int) -> None:
        super().__init__(Method(tier, name), memory_bytes)
        self.actor = labeler_for(cast_of(name)[0], memory_bytes=memory_bytes)
        self.price = price
        self.batch, self.program = self.actor.batch, self.actor.program

    @property
    def version(self) -> str:
        """Of the program that computes."""
        return self.actor.version

    def available(self) -> None:
        """As the method that computes."""
        self.actor.available()

    def check(self, molecule: Molecule) -> None:
        """As the method that computes."""
        self.actor.check(molecule)

    def prepare(self, molecule: Molecule) -> None:
        """As the method that computes."""
        self.actor.prepare(molecule)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """As the method that computes."""
        return self.actor.threads_set(threads)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """The price, or what the method that computes is thought to take; its memory."""
        own = self.actor.estimate(molecule, threads)
        if self.price is None:
            return own
        return Estimate(self.price, self.price, self.price, own.memory_bytes)

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """By the method that computes."""
        return self.actor.compute(configuration, threads)


def stand_in_or_real(
    name: str,
    tier: Tier,
    stand_in: StandIn | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> Labeler:
    """The labeler of a tier's method, whether it is what it is called or not."""
    if isinstance(stand_in, Replayed):
        return ReplayLabeler(tier, stand_in)
    if is_posing(name):
        price = None if stand_in is None else stand_in.price
        return PosingLabeler(tier, name, price, memory_bytes)
    return labeler_for(name, memory_bytes=memory_bytes)


def charge(labeler: Labeler, jobs: Sequence[Job], measured: float) -> float:
    """Core-seconds that these jobs are charged: stated prices, or what was `measured`."""
    if isinstance(labeler, ReplayLabeler):
        return sum(labeler.price_of(job.configuration) for job in jobs)
    if isinstance(labeler, PosingLabeler) and labeler.price is not None:
        return labeler.price * len(jobs)
    return measured


def _chance(key: str, which: int) -> float:
    """A number from 0 to 1 that a geometry always has."""
    return int(key[8 * which : 8 * which + 8], 16) / 2**32
