"""Frames of a run that are of its plan's methods: a tier may hold labels of another level too."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import CHEAP, MIDDLE, TARGET
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.stages.data import with_forces

FITTED = (Purpose.CALIBRATION, Purpose.TRAIN)
"""What force fields are fitted to."""


def own_frames(store: Path, methods: Mapping[Tier, str]) -> tuple[Frames, tuple[str, ...]]:
    """Frames to train and choose by, of the plan's methods; and what was left out, in words."""
    frames = load_frames(store)
    mask_F = is_own(frames, methods)
    strange = Counter(frames.methods[place] for place in frames.method_F[~mask_F].tolist())
    said = tuple(
        f"{count:,} {method.tier} frames of {method.name} are left out: this run's {method.tier} "
        f"method is {methods[method.tier]}"
        for method, count in sorted(strange.items(), key=lambda item: item[0].name)
    )
    return (frames.select(mask_F) if said else frames), said


def is_own(frames: Frames, methods: Mapping[Tier, str]) -> NDArray[np.bool_]:
    """(F,) whether a frame's label is by its tier's method."""
    own = np.array([methods[method.tier] == method.name for method in frames.methods], dtype=bool)
    return own[frames.method_F] if len(own) else np.zeros(0, dtype=bool)


def held_out(frames: Frames, methods: Mapping[Tier, str] | None) -> Frames:
    """The target tier's hold-out among `frames`, of its own method where the plan's are known."""
    held = frames.of_tier(TARGET).of_purpose(Purpose.HOLDOUT)
    return held if methods is None else held.select(is_own(held, methods))


def counts_of(frames: Frames, learnt: Collection[Tier]) -> Counts:
    """Training labels with forces at hand, of the target and of tiers that pre-training reads."""
    fitted = frames.of_purpose(*FITTED)

    def at(tier: Tier) -> int:
        part = fitted.of_tier(tier) if tier in {TARGET, *learnt} else Frames.empty()
        return int(with_forces(part).sum()) if len(part) else 0

    return Counts(at(TARGET), at(MIDDLE), sum(at(tier) for tier in CHEAP))
