"""Frames of a run or a data set in a format of others, chosen by tier, method and purpose.

The hold-out stays at home unless it is asked for by its name: what is exported may be trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

import numpy as np
import zarr

from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.formats.catalogue import FORMATS, Format, writer_of
from forgefield.storage.formats.release import write_release
from forgefield.storage.formats.release_text import ReleaseTerms
from forgefield.storage.formats.watching import Tell
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frame_store.columns import ADDED
from forgefield.storage.frames import TRAINING_PURPOSES, Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.splitting import COLUMN, SPLITS

Choice = TypeVar("Choice", bound=Enum)
BAR = "frames"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frames: names of tiers, methods, purposes and splits.

    Nothing means all but the hold-out.
    """

    tiers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


class ExportReport(Document):
    """What was written; `holdout_left_out` frames would have fitted but for their purpose."""

    path: str
    format: str
    frames: int
    methods: list[str]
    holdout_left_out: int


def export_frames(
    folder: RunFolder,
    out: str,
    wanted: Wanted,
    reporter: Reporter,
    format_name: str | None = None,
    terms: ReleaseTerms | None = None,
) -> ExportReport:
    """Write the chosen frames to `out`, a path or (releases) an address.

    Raises `InputError` for an unknown tier, method, purpose or format, several methods in a format
    of one, or where nothing is left to write.
    """
    found = writer_of(out, format_name)
    purposes = _purposes(wanted.purposes)
    stored = load_frames(folder.frames, purposes=tuple(Purpose))
    everything = _of_splits(_chosen_frames(stored, wanted, folder), wanted.splits, folder)
    frames = everything.of_purpose(*purposes)
    _check_frames(frames, found, folder, out)

    def tell(done: int) -> None:
        reporter.bar(BAR, done, len(frames))

    terms = replace(terms or ReleaseTerms(folder.root.name), split=_split_settings(frames, folder))
    _write(found, frames, out, tell, terms)
    reporter.end(BAR)
    left_out = everything.of_purpose(Purpose.HOLDOUT) if Purpose.HOLDOUT not in purposes else ()
    return ExportReport(
        path=str(out),
        format=next(name for name, each in FORMATS.items() if each is found),
        frames=len(frames),
        methods=_method_names(frames),
        holdout_left_out=0 if wanted.purposes else len(left_out),
    )


def _write(found: Format, frames: Frames, out: str, tell: Tell, terms: ReleaseTerms) -> None:
    if found.write is write_release:
        write_release(frames, out, tell, terms)
    elif found.write is not None:
        found.write(frames, Path(out), tell)


def _purposes(names: Sequence[str]) -> tuple[Purpose, ...]:
    if ALL in [name.lower() for name in names]:
        return tuple(Purpose)
    return chosen(Purpose, names, "purpose") if names else TRAINING_PURPOSES


def _chosen_frames(frames: Frames, wanted: Wanted, folder: RunFolder) -> Frames:
    tiers = chosen(Tier, wanted.tiers, "tier") if wanted.tiers else tuple(Tier)
    known = {method.name.lower(): method.name for method in frames.methods}
    unknown = [name for name in wanted.methods if name.lower() not in known]
    if unknown:
        raise InputError(
            f"{folder.root} has no labels by {unknown[0]!r}. Choose from "
            f"{', '.join(known.values()) or 'nothing: there are none yet'}."
        )
    names = [name.lower() for name in wanted.methods] or list(known)
    places = [
        place
        for place, method in enumerate(frames.methods)
        if method.tier in tiers and method.name.lower() in names
    ]
    return frames.select(np.isin(frames.method_F, places))


def _of_splits(frames: Frames, names: Sequence[str], folder: RunFolder) -> Frames:
    unknown = [name for name in names if name.lower() not in SPLITS]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no split. Choose from {', '.join(SPLITS)}.")
    if names and COLUMN not in frames.added_F:
        raise InputError(f"{folder.root} isn't split. `platform split {folder.root}` does that.")
    places = [SPLITS.index(name.lower()) for name in names]
    return frames.select(np.isin(frames.added_F[COLUMN], places)) if names else frames


def _split_settings(frames: Frames, folder: RunFolder) -> str:
    """What `platform split` noted beside its column: how to make it again."""
    if COLUMN not in frames.added_F:
        return ""
    array = zarr.open_group(folder.frames, mode="r", zarr_format=3)[ADDED + COLUMN]
    return str(array.attrs["units"])


def _check_frames(frames: Frames, found: Format, folder: RunFolder, out: str) -> None:
    if not len(frames):
        raise InputError(
            f"{folder.root} has no frames of these tiers, methods and purposes yet. `platform "
            "status` shows what has been bought."
        )
    methods = _method_names(frames)
    if found.one_method and len(methods) > 1:
        choices = " or ".join(f'--method "{name}"' for name in methods)
        raise InputError(f"{out}: one {found.title} holds one method. Choose {choices}.")


def _method_names(frames: Frames) -> list[str]:
    return [frames.methods[place].name for place in sorted(set(frames.method_F.tolist()))]


def chosen(kind: type[Choice], names: Sequence[str], what: str) -> tuple[Choice, ...]:
    """Members by name; raises `InputError` for an unknown one."""
    known = {member.name.lower(): member for member in kind}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no {what}. Choose from {', '.join(known)}.")
    return tuple(known[name.lower()] for name in names)
