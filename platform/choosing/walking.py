"""Langevin dynamics of many walkers in one batch, each ended where it can't be trusted any more.

A walker ends *broken* at the first step that leaves the boundaries, and of that step nothing is
kept; it ends *alarmed* where the committee disagrees by more than the alarm when it is asked, once
every `every` fs. The alarming geometry is kept, being what the model doesn't know, unless the
disagreement is `hopeless`: such ones are seldom worth a label. So nothing that comes out is
unphysical. Each walker's noise is its own, whatever becomes of the others.

Integrator: leapfrog with the thermostat in the middle, as in OpenMM's LangevinMiddleIntegrator
(Zhang et al., J. Phys. Chem. A 123, 6056, 2019), whose positions have the right distribution at
steps of half a femtosecond and more.

Legend: `W` walkers, `F` frames, `A` atoms. Å, eV, amu, fs, K.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from forgefield.platform.choosing.boundaries import Boundaries
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_KELVIN

EV_PER_AMU_A2_PER_FS2: float = constants.atomic_mass * 1e10 / constants.e
Forces = Callable[[Array], Array]
"""(W, A, 3) Å to (W, A, 3) eV/Å."""
Disagreement = Callable[[Array], Array]
"""(W, A, 3) Å to (W,) eV/Å."""


class Ending(StrEnum):
    """Why a walker stopped."""

    FINISHED = "finished"
    ALARMED = "alarmed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Pace:
    """`length`, `timestep` and `every` in fs; `friction` in 1/fs; `alarm`, `hopeless` in eV/Å."""

    length: float
    timestep: float
    friction: float
    every: float
    alarm: float = np.inf
    hopeless: float = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """Frames (F, A, 3) with walker, disagreement and alarm of each; ending and time of walkers."""

    positions_FA3: Array
    walker_F: NDArray[np.int64]
    disagreement_F: Array
    alarmed_F: NDArray[np.bool_]
    ending_W: tuple[Ending, ...]
    time_W: Array


def walk(
    forces: Forces,
    disagreement: Disagreement,
    boundaries: Boundaries,
    starts_WA3: Array,
    masses_A: Array,
    temperature_W: Array,
    pace: Pace,
    seed: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> Walks:
    """Run all walkers to their ends; `check` is called at every step and may raise."""
    walkers = _Walkers(starts_WA3, masses_A, temperature_W, pace, seed)
    between = max(1, round(pace.every / pace.timestep))
    for step in range(1, round(pace.length / pace.timestep) + 1):
        if not walkers.alive_W.any():
            break
        check()
        walkers.step(forces)
        walkers.end_broken(boundaries)
        if step % between == 0 and walkers.alive_W.any():
            walkers.record(disagreement)
    return walkers.result()


class _Walkers:
    def __init__(
        self, starts_WA3: Array, masses_A: Array, temperature_W: Array, pace: Pace, seed: int
    ) -> None:
        self._pace, self._masses_A1 = pace, masses_A[:, None] * EV_PER_AMU_A2_PER_FS2
        kT_W11 = EV_PER_KELVIN * temperature_W[:, None, None]
        self._thermal_WA1 = np.sqrt(kT_W11 / self._masses_A1)
        self._streams = [np.random.default_rng((seed, place)) for place in range(len(starts_WA3))]
        self._positions_WA3 = starts_WA3.copy()
        self._shape_A3 = starts_WA3.shape[1:]
        self._velocities_WA3 = self._thermal_WA1 * self._noise()
        self._ending_W = [Ending.FINISHED] * len(starts_WA3)
        self._time_W = np.zeros(len(starts_WA3))
        self.alive_W = np.ones(len(starts_WA3), dtype=bool)
        self._kept: list[tuple[Array, NDArray[np.int64], Array]] = []

    def _noise(self) -> Array:
        """(W, A, 3), of every walker's own stream."""
        drawn = [stream.standard_normal(self._shape_A3) for stream in self._streams]
        return np.array(drawn).reshape(-1, *self._shape_A3)

    def step(self, forces: Forces) -> None:
        """One step of those that live."""
        pace, alive = self._pace, np.flatnonzero(self.alive_W)
        x, v = self._positions_WA3[alive], self._velocities_WA3[alive]
        keep = np.exp(-pace.friction * pace.timestep)
        v += pace.timestep * forces(x) / self._masses_A1
        x += 0.5 * pace.timestep * v
        v *= keep
        v += np.sqrt(1 - keep**2) * self._thermal_WA1[alive] * self._noise()[alive]
        x += 0.5 * pace.timestep * v
        self._positions_WA3[alive], self._velocities_WA3[alive] = x, v
        self._time_W[alive] += pace.timestep

    def end_broken(self, boundaries: Boundaries) -> None:
        """End walkers outside the boundaries."""
        inside_W = boundaries.hold(self._positions_WA3)
        self._end(np.flatnonzero(self.alive_W & ~inside_W), Ending.BROKEN)

    def record(self, disagreement: Disagreement) -> None:
        """Keep where the walkers are, and end those that the committee can't agree on."""
        alive = np.flatnonzero(self.alive_W)
        found = disagreement(self._positions_WA3[alive])
        fit = found <= self._pace.hopeless
        frames = self._positions_WA3[alive[fit]]
        self._kept.append((frames - frames.mean(axis=1, keepdims=True), alive[fit], found[fit]))
        self._end(alive[~(found <= self._pace.alarm)], Ending.ALARMED)

    def _end(self, places: NDArray[np.intp], ending: Ending) -> None:
        self.alive_W[places] = False
        for place in places.tolist():
            self._ending_W[place] = ending

    def result(self) -> Walks:
        """What was kept, in the order of time."""
        nothing = (np.empty((0, *self._shape_A3)), np.empty(0, dtype=np.int64), np.empty(0))
        parts = zip(nothing, *self._kept, strict=True)
        positions_FA3, walker_F, disagreement_F = (np.concatenate(part) for part in parts)
        return Walks(
            positions_FA3=positions_FA3,
            walker_F=walker_F,
            disagreement_F=disagreement_F,
            alarmed_F=disagreement_F > self._pace.alarm,
            ending_W=tuple(self._ending_W),
            time_W=self._time_W,
        )
