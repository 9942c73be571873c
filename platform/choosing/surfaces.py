"""What force fields say of bare geometries of one molecule, many at once.

The first force field is the current model: it drives. All of them are the committee, whose
disagreement on a geometry is that of its worst atom, the standard deviation of the force vector
over members. One force field alone never disagrees with itself: 0 then.

Batches are what makes exploring cheap: sixteen walkers in one batch cost 1.4 ms each and step on a
core where ASE's loop over single molecules costs 6 (ethanol, NequIP of the default recipe;
`tests/benchmarks/choosing/walkers.py`).

Legend: `W` geometries, `A` atoms. Å, eV, eV/Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Molecule, Purpose
from forgefield.storage.settled_frames import bare_frames
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.uncertainty import Committee

SURE = 0.9
"""Quantile of the disagreement on validation frames that the alarm is a multiple of."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Energies, forces and disagreement of geometries (W, A, 3) of one molecule."""

    force_fields: tuple[ForceField, ...]
    molecule: Molecule

    def __post_init__(self) -> None:
        if not self.force_fields:
            raise InputError("exploring needs a force field: train one first")
        if self.molecule.cell_33 is not None:
            raise InputError(
                f"{self.molecule.name} lies in a periodic box; exploring moves molecules in free "
                "space only. Label frames of the pool instead."
            )

    def energies_and_forces(self, positions_WA3: Array) -> tuple[Array, Array]:
        """(W,) eV and (W, A, 3) eV/Å of the current model."""
        frames = bare_frames(self.molecule, positions_WA3)
        energy_W, forces_A3 = self.force_fields[0].predict(frames)
        return energy_W, forces_A3.reshape(positions_WA3.shape)

    def forces(self, positions_WA3: Array) -> Array:
        """(W, A, 3) eV/Å of the current model."""
        return self.energies_and_forces(positions_WA3)[1]

    def disagreement(self, positions_WA3: Array) -> Array:
        """(W,) eV/Å, that of the worst atom of each geometry."""
        return _disagreement(self.force_fields, bare_frames(self.molecule, positions_WA3))


def calibrated_alarm(
    force_fields: Sequence[ForceField], validation: Frames, factor: float
) -> float:
    """The disagreement, eV/Å, above which a geometry is unlike what was learnt.

    `factor` times what nine in ten validation frames stay below: those are drawn like the training
    frames and weren't fitted. Infinite for one force field alone. Raises `InputError` without
    frames and for hold-out frames, which may decide nothing.
    """
    if len(force_fields) < 2:
        return np.inf
    if not len(validation) or np.any(validation.purpose_F == int(Purpose.HOLDOUT)):
        raise InputError(
            f"an alarm is calibrated on validation frames, and of the {len(validation)} given "
            f"{int((validation.purpose_F == int(Purpose.HOLDOUT)).sum())} are of the hold-out"
        )
    return factor * float(np.quantile(_disagreement(force_fields, validation), SURE))


def _disagreement(force_fields: Sequence[ForceField], frames: Frames) -> Array:
    if len(force_fields) < 2 or not len(frames):
        return np.zeros(len(frames))
    return Committee(tuple(force_fields)).judge(frames).worst_F
