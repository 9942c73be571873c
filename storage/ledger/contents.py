"""What a label says, as a hash: the same for a label, its inbox row and its stored frame."""

import hashlib

import numpy as np

from forgefield.storage.records import Array, Label


def content_of(label: Label, atoms: int) -> str:
    """`content_hash` of a label of `atoms` atoms."""
    return content_hash(label.energy, label.forces_A3, label.stress_33, atoms)


def content_hash(
    energy: float, forces_A3: Array | None, stress_33: Array | None, atoms: int
) -> str:
    """128-bit hash of energy (eV), stress (eV/Å³) and forces (eV/Å), NaN where absent.

    Little-endian float64 without negative zeros, which not every store keeps apart.
    """
    forces = np.full(3 * atoms, np.nan) if forces_A3 is None else forces_A3.reshape(-1)
    stress = np.full(9, np.nan) if stress_33 is None else stress_33.reshape(-1)
    values = np.concatenate([[energy], stress, forces]).astype("<f8", copy=False) + 0.0
    values[np.isnan(values)] = np.nan
    return hashlib.blake2b(values.tobytes(), digest_size=16).hexdigest()
