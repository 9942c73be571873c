"""Langevin dynamics of one molecule for many walkers, one OpenMM context between them.

A walker is a temperature and a starting conformer. Walkers take turns in a fixed order with one
random stream, so the same seed gives the same frames.

Legend: `F` frames, `A` atoms, `P` pairs, `W` walkers. Å, K, fs.
"""

from dataclasses import dataclass

import numpy as np
import openmm

from forgefield.labelers.openmm_terms import reference_context
from forgefield.storage.geometry import pair_distances
from forgefield.storage.records import Array

_NM, _PS = 0.1, 1e-3
PROBE_FS, PROBE_EVERY_FS = 8000.0, 5.0
FORGOTTEN = 0.2
"""Autocorrelation below which two frames count as independent."""
LEAST_INTERVAL, MOST_INTERVAL = 20.0, 200.0


@dataclass(slots=True, eq=False)
class Walker:
    """Where one walker stands; velocities are `None` before its first step."""

    temperature: float
    conformer: int
    positions_nm_A3: Array
    velocities_A3: Array | None = None


class Dynamics:
    """Runs walkers of one system by the LFMiddle discretisation of Langevin dynamics."""

    def __init__(
        self, system: openmm.System, *, timestep: float, friction: float, seed: int
    ) -> None:
        self._integrator = openmm.LangevinMiddleIntegrator(300.0, friction, timestep * _PS)
        self._integrator.setRandomNumberSeed(seed + 1)  # 0 would mean: a different one each time
        self._context = reference_context(system, self._integrator)
        self._timestep, self._seed = timestep, seed + 1

    def run(self, walker: Walker, frames: int, every: float) -> Array:
        """Frames (F, A, 3) Å of a walker, `every` fs apart, the first one after that time."""
        self._resume(walker)
        steps = max(1, round(every / self._timestep))
        found = np.empty((frames, *walker.positions_nm_A3.shape))
        for frame_A3 in found:
            self._integrator.step(steps)
            frame_A3[:] = self._state().getPositions(asNumpy=True)._value / _NM  # noqa: SLF001
        self._suspend(walker)
        return found

    def _resume(self, walker: Walker) -> None:
        self._integrator.setTemperature(walker.temperature)
        self._context.setPositions(walker.positions_nm_A3)
        if walker.velocities_A3 is None:
            openmm.LocalEnergyMinimizer.minimize(self._context, 1.0, 200)
            self._context.setVelocitiesToTemperature(walker.temperature, self._seed)
            self._seed += 1
        else:
            self._context.setVelocities(walker.velocities_A3)

    def _suspend(self, walker: Walker) -> None:
        state = self._state(velocities=True)
        walker.positions_nm_A3 = np.array(state.getPositions(asNumpy=True)._value)  # noqa: SLF001
        walker.velocities_A3 = np.array(state.getVelocities(asNumpy=True)._value)  # noqa: SLF001

    def _state(self, *, velocities: bool = False) -> openmm.State:
        return self._context.getState(positions=True, velocities=velocities)


def decorrelation(dynamics: Dynamics, walker: Walker) -> float:
    """Time, fs, after which a walker has forgotten its fast motion.

    The first lag at which the autocorrelation of the interatomic distances, averaged over the
    pairs that vary, has fallen to `FORGOTTEN` for good, within `LEAST_INTERVAL` and
    `MOST_INTERVAL`. Slow torsions never do within that: the upper bound is theirs.
    """
    frames_FA3 = dynamics.run(walker, round(PROBE_FS / PROBE_EVERY_FS), PROBE_EVERY_FS)
    lags = round(MOST_INTERVAL / PROBE_EVERY_FS) + 1
    correlation_L = autocorrelation(pair_distances(frames_FA3), lags)
    above = np.flatnonzero(np.abs(correlation_L) > FORGOTTEN)
    interval = (above[-1] + 1) * PROBE_EVERY_FS if len(above) else 0.0
    return float(np.clip(interval, LEAST_INTERVAL, MOST_INTERVAL))


def autocorrelation(series_FP: Array, lags: int) -> Array:
    """Normalised autocorrelation (lags,) averaged over columns."""
    centred_FP = series_FP - series_FP.mean(axis=0)
    varying_P = centred_FP.std(axis=0) > 1e-6
    centred_FP = centred_FP[:, varying_P] / centred_FP[:, varying_P].std(axis=0)
    count = len(centred_FP)
    products = [
        np.mean(centred_FP[: count - lag] * centred_FP[lag:]) if centred_FP.size else 0.0
        for lag in range(lags)
    ]
    return np.array(products)
