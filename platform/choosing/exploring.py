"""Candidates for the next round: where the current model goes, and where it need not be trusted.

Three sources. *md*: dynamics with the current model from labelled geometries at the temperatures
that the force field is for, ended by the committee's alarm (`walking`); these find what the model
gets wrong by its own doing. *modes*: thermal displacements along its normal modes. *openmm*: frames
of the run's own pool, the caller's; they don't depend on the model and come from the distribution
that validation and hold-out come from.

No candidate is unphysical, and of md and modes none is hopeless. The same force fields, starts,
settings and seed give the same candidates.

Legend: `F` candidates, `S` starts, `W` walkers, `A` atoms. Å, eV/Å, fs, K.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses

from forgefield.platform.choosing.boundaries import Boundaries, boundaries_of
from forgefield.platform.choosing.candidates import Explored, Source
from forgefield.platform.choosing.modes import normal_modes, relaxed
from forgefield.platform.choosing.settings import ExploreSettings
from forgefield.platform.choosing.surfaces import Surface
from forgefield.platform.choosing.walking import Pace, Walks, walk
from forgefield.storage.records import Array, Molecule
from forgefield.trainers.force_field import ForceField


def explore(
    force_fields: Sequence[ForceField],
    molecule: Molecule,
    starts_SA3: Array,
    settings: ExploreSettings,
    seed: int,
    *,
    alarm: float = np.inf,
    pool_FA3: Array | None = None,
    check: Callable[[], None] = lambda: None,
) -> Explored:
    """Candidates of all sources; the first force field drives, all together are the committee.

    `starts_SA3` are labelled geometries that nothing is judged by. `alarm` eV/Å comes from
    `calibrated_alarm`; `pool_FA3` are frames of the pool that nothing else is kept for. `check` is
    called at every step of the dynamics and may raise. Raises `InputError` without force field
    or starts, and for a periodic molecule.
    """
    surface = Surface(tuple(force_fields), molecule)
    boundaries = boundaries_of(molecule.numbers, starts_SA3, settings.stretch)
    hopeless = settings.hopeless_factor * alarm
    walked, walks = _walked(
        surface, boundaries, starts_SA3, settings, (alarm, hopeless), seed, check
    )
    check()
    drawn = _displaced(surface, boundaries, starts_SA3, settings, seed)
    pool = starts_SA3[:0] if pool_FA3 is None else pool_FA3[: settings.pool]
    unknown_F = np.full(len(pool), np.nan)
    parts = [
        walked,
        _judged(Source.MODES, *drawn, surface, boundaries, hopeless),
        _judged(Source.OPENMM, pool, unknown_F, surface, boundaries, np.inf),
    ]
    return _together(parts, walks, alarm, len(drawn[0]) + len(pool))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Judged geometries of one source, with temperatures and disagreements (F,)."""

    source: Source
    positions_FA3: Array
    temperature_F: Array
    disagreement_F: Array

    def __len__(self) -> int:
        return len(self.positions_FA3)


def _walked(
    surface: Surface,
    boundaries: Boundaries,
    starts_SA3: Array,
    settings: ExploreSettings,
    limits: tuple[float, float],
    seed: int,
    check: Callable[[], None],
) -> tuple[_Part, Walks]:
    order_S = np.random.default_rng(seed).permutation(len(starts_SA3))
    place_W = np.arange(settings.walkers)
    start_W = order_S[place_W % len(starts_SA3)]
    temperature_W = np.resize(np.array(settings.kelvins), settings.walkers)
    friction = settings.friction / 1000
    pace = Pace(settings.length, settings.timestep, friction, settings.every, *limits)
    masses_A = atomic_masses[list(surface.molecule.numbers)]
    begun = starts_SA3[start_W], masses_A, temperature_W
    walks = walk(surface.forces, surface.disagreement, boundaries, *begun, pace, seed, check=check)
    temperature_F = temperature_W[walks.walker_F]
    part = _Part(Source.MD, walks.positions_FA3, temperature_F, walks.disagreement_F)
    return part, walks


def _displaced(
    surface: Surface,
    boundaries: Boundaries,
    starts_SA3: Array,
    settings: ExploreSettings,
    seed: int,
) -> tuple[Array, Array]:
    """Thermal displacements around a minimum of the model and their temperatures.

    None where the model has no physical minimum.
    """
    none = starts_SA3[:0], np.empty(0)
    if not settings.modes:
        return none
    energy_S, _ = surface.energies_and_forces(starts_SA3)
    minimum_A3 = relaxed(surface.energies_and_forces, starts_SA3[int(energy_S.argmin())])
    if not boundaries.hold(minimum_A3[None])[0]:
        return none
    masses_A = atomic_masses[list(surface.molecule.numbers)]
    modes = normal_modes(surface.forces, minimum_A3, masses_A)
    temperature_F = np.resize(np.array(settings.kelvins), settings.modes)
    drawn_FA3 = modes.draw(temperature_F, np.random.default_rng((seed, 1)))
    return drawn_FA3, temperature_F


def _judged(
    source: Source,
    positions_FA3: Array,
    temperature_F: Array,
    surface: Surface,
    boundaries: Boundaries,
    hopeless: float,
) -> _Part:
    """Without what is unphysical or hopeless, and with the committee's disagreement."""
    inside = boundaries.hold(positions_FA3)
    positions_FA3, temperature_F = positions_FA3[inside], temperature_F[inside]
    found_F = surface.disagreement(positions_FA3)
    fit = found_F <= hopeless
    return _Part(source, positions_FA3[fit], temperature_F[fit], found_F[fit])


def _together(parts: Sequence[_Part], walks: Walks, alarm: float, judged: int) -> Explored:
    disagreement_F = np.concatenate([part.disagreement_F for part in parts])
    sources = [np.full(len(part), part.source.value) for part in parts]
    return Explored(
        positions_FA3=np.concatenate([part.positions_FA3 for part in parts]),
        source_F=np.concatenate(sources).astype(np.str_),
        temperature_F=np.concatenate([part.temperature_F for part in parts]),
        disagreement_F=disagreement_F,
        alarmed_F=disagreement_F > alarm,
        ending_W=np.array([ending.value for ending in walks.ending_W], dtype=np.str_),
        time_W=walks.time_W,
        dropped=judged - sum(len(part) for part in parts[1:]),
    )
