"""Committees trained from nothing: members differ by their seed, and by their frames if wished.

`fit_committee` trains them one after another by the fit that trains everything else. `together`
trains the same ones as one stacked network, for devices that one alone can't fill; that is for
AdamW, for frames of one size and without checkpoints, and patience counts for all at once.

One by one they can be resumed: checkpoints lie in `work/<hash of settings, description and
frames>` until the last member is done, so those of another committee are never taken.

A *bootstrap* draws each member's frames anew, as many as there are, with repetition: about 63 %
of the frames are seen by each. It makes members differ more, and each a little worse.

Validation frames choose the step that is kept; the hold-out is refused everywhere.

Legend: `M` members, `F` frames. Units: eV, eV/Å.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Purpose
from forgefield.trainers.fitting.fit import fit
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.references import reference_sums
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty.committee import Committee
from forgefield.trainers.uncertainty.together import fit_together


def fit_committee(
    metadata: Metadata,
    train: Frames,
    validation: Frames | None,
    settings: FitSettings,
    *,
    members: int,
    bootstrap: bool = False,
    together: bool = False,
    work: Path | None = None,
    device: str = "cpu",
) -> Committee:
    """Train `members` force fields whose seeds count up from `metadata.seed`.

    `metadata` has the model with its elements, references and scale, shared by all. `work` is a
    folder for checkpoints of members that are trained one by one. Raises `InputError` for the
    hold-out, for fewer than two members, and for what can't be trained together.
    """
    _refuse(train, validation, members)
    fields = [_fresh(metadata, place).to(device) for place in range(members)]
    draws = [_drawn(len(train), bootstrap, field.metadata.seed) for field in fields]
    judged = None if validation is None else graphs_for(metadata, validation, fields[0])
    if together:
        networks, graphs = [f.network for f in fields], graphs_for(metadata, train, fields[0])
        fit_together(networks, graphs, judged, settings, draw_MF=np.stack(draws))
        return Committee(tuple(fields))
    if work is not None:
        about = (metadata.model_dump_json(), settings.model_dump_json(), bootstrap)
        work = work / _fingerprint(about, train, validation)
    for place, (field, draw_F) in enumerate(zip(fields, draws, strict=True)):
        fit(
            field.network,
            graphs_for(metadata, train.select(draw_F), field),
            judged,
            settings.model_copy(update={"seed": settings.seed + place}),
            scale=metadata.scale,
            checkpoint=None if work is None else work / f"member-{place:02d}.safetensors",
        )
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return Committee(tuple(fields))


def graphs_for(metadata: Metadata, frames: Frames, field: ForceField) -> GraphSet:
    """Frames with labels as the network of `field` sees them."""
    some = next(field.network.parameters())
    return GraphSet(
        frames,
        field.network.cutoff,
        energy_F=frames.energy_F - reference_sums(frames, metadata.references),
        head_F=np.full(len(frames), metadata.head),
        scale=metadata.scale,
        dtype=some.dtype,
        device=some.device,
    )


def _fresh(metadata: Metadata, place: int) -> ForceField:
    seeded = metadata.model_copy(update={"seed": metadata.seed + place})
    return ForceField.fresh(seeded, dtype=torch.get_default_dtype())


def _drawn(frames: int, bootstrap: bool, seed: int) -> Integers:
    """Places of the frames that a member is trained on, (F,), in their order."""
    if not bootstrap:
        return np.arange(frames)
    return np.sort(np.random.default_rng([seed, frames]).integers(0, frames, size=frames))


def _fingerprint(about: tuple[object, ...], *parts: Frames | None) -> str:
    """Hash of all that the members follow from; labels count by their values, not their names."""
    digest = hashlib.blake2b(repr((about, torch.get_default_dtype())).encode(), digest_size=8)
    for part in parts:
        columns = () if part is None else (part.ptr, part.numbers, part.positions_A3, part.cell_F33)
        labels = () if part is None else (part.energy_F, part.forces_A3)
        for values in (*columns, *labels):
            digest.update(f"{values.dtype}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(b"|")
    return digest.hexdigest()


def _refuse(train: Frames, validation: Frames | None, members: int) -> None:
    if members < 2:
        raise InputError(f"a committee needs 2 members or more, got {members}")
    for name, part in (("train", train), ("validation", validation)):
        if part is None:
            continue
        if np.any(part.purpose_F == int(Purpose.HOLDOUT)):
            raise InputError("training may not read the hold-out; select other purposes")
        if not len(part) or not np.isfinite(part.forces_A3).all():
            what = "no frames" if not len(part) else "frames without forces"
            raise InputError(f"the {name} frames of a committee are {what}; give some with forces")
