"""Geometries that a run is judged or chosen by: no label of them may come in to train on."""

from collections.abc import Sequence

import numpy as np

from forgefield.platform.buying.orders import JUDGING, campaign_orders, judging_geometries
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.pools.pool import load_pool
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.formats.sameness import Labelled
from forgefield.storage.frames import Frames
from forgefield.storage.likeness import SAME_A, seen_before
from forgefield.storage.settled_frames import StoredFrame, bare_frames, from_stored


def judging_frames(folder: RunFolder, known: Frames) -> Frames:
    """Hold-out and validation frames of a run, bought or planned; none of a mere data set.

    `known` are its frames. Raises `InputError` between sampling and plan, when it isn't known yet
    which configurations will judge.
    """
    if not folder.request.exists():
        return Frames.empty()
    bought = known.of_purpose(*JUDGING)
    if not folder.plan.exists():
        if folder.pool.exists():
            raise InputError(
                f"The run in {folder.root} was stopped before it had a plan, so what it will be "
                f"judged by isn't known yet. Let `platform run {folder.root}` get that far, or "
                "import into a new folder before it is planned."
            )
        return bought
    plan = load_plan(folder.plan)
    if not folder.pool.exists():
        return bought
    molecule = plan.molecule.to_record()
    orders = campaign_orders(load_pool(molecule, folder.pool), plan)
    planned = bare_frames(molecule, np.array(judging_geometries(orders)))
    return Frames.concatenate([bought, planned])


def left_to_train_on(labels: Sequence[Labelled], judging: Frames) -> list[Labelled]:
    """The labels without those to train on whose geometry is one of `judging`."""
    if not len(judging) or not labels:
        return list(labels)
    frames = from_stored([StoredFrame(0, each.job, each.label, 0) for each in labels])
    judges_F = seen_before(frames, judging, SAME_A)
    return [
        each
        for each, judges in zip(labels, judges_F.tolist(), strict=True)
        if not judges or each.job.purpose in JUDGING
    ]
