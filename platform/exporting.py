"""Frames of a run as extended XYZ, chosen by tier and purpose."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TypeVar

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier

Choice = TypeVar("Choice", bound=Enum)


def export_frames(
    folder: RunFolder, out: Path, tiers: Sequence[str], purposes: Sequence[str]
) -> int:
    """Write the chosen frames (all, where nothing is chosen) and say how many.

    Raises `InputError` for an unknown tier or purpose, or where nothing is left to write.
    """
    wanted = _chosen(Tier, tiers, "tier")
    frames = load_frames(folder.frames, purposes=_chosen(Purpose, purposes, "purpose"))
    parts = [frames.of_tier(tier) for tier in wanted]
    chosen = Frames.concatenate([part for part in parts if len(part)])
    if not len(chosen):
        raise InputError(
            f"{folder.root} has no frames of tier {', '.join(t.value for t in wanted)} with these "
            "purposes yet. `platform status` shows what has been bought."
        )
    write_extended_xyz(chosen, out)
    return len(chosen)


def _chosen(kind: type[Choice], names: Sequence[str], what: str) -> tuple[Choice, ...]:
    known = {member.name.lower(): member for member in kind}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no {what}. Choose from {', '.join(known)}.")
    return tuple(known[name.lower()] for name in names) or tuple(kind)
