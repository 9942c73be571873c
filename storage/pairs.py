"""Labels of one geometry by two methods, found by the geometry's hash."""

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Method


def paired(frames: Frames, low: Method, high: Method) -> Integers:
    """Indices (pairs, 2) of the frames of `low` and of `high` that share a geometry.

    In the order of the frames of `low`. A geometry that one method labelled twice (a frame that was
    withdrawn is not among them) counts once, by its first label. Raises `InputError` for a method
    that the frames don't have.
    """
    low_F, high_F = (_first_by_geometry(frames, method) for method in (low, high))
    both = [(frame, high_F[geometry]) for geometry, frame in low_F.items() if geometry in high_F]
    return np.array(both, dtype=np.int64).reshape(-1, 2)


def _first_by_geometry(frames: Frames, method: Method) -> dict[bytes, int]:
    if method not in frames.methods:
        known = ", ".join(each.name for each in frames.methods) or "none at all"
        raise InputError(f"There are no labels by {method.name}; there are some by {known}.")
    own = np.flatnonzero(frames.method_F == frames.methods.index(method))
    found: dict[bytes, int] = {}
    for frame in own.tolist():
        found.setdefault(frames.geometry_F[frame].tobytes(), frame)
    return found
