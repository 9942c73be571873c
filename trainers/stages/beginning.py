"""The force field before the first step of a stage: its weights, and what its numbers mean.

Weights are random by the task's seed, or those of the force field that it starts from, which
must be of the same model. References and method are the target's, so energies of all stages can
be compared. Forces say nothing of a constant, and energies weigh little in the loss: so the
references of a trained network are those that leave no mean error on the target's frames
(`settled`), both before it is trained further and when it is done.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Method
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import ModelSettings
from forgefield.trainers.references import compositions, force_scale, reference_energies
from forgefield.trainers.stages.data import head_of, less_base, target_frames
from forgefield.trainers.stages.tasks import StageTask


def begin(task: StageTask, store: Frames, first: Frames, dataset: str) -> ForceField:
    """The force field that the first phase, on the frames `first` of `store`, starts with."""
    older = None if task.start is None else ForceField.load(task.start)
    base = None if task.base is None else ForceField.load(task.base)
    if base is None and older is not None:
        base = older.base
    anchor = anchor_of(task, store, first)
    method = anchor.methods[int(anchor.method_F[0])]
    left = less_base(anchor, base)
    common = {
        "method": method.name,
        "references": reference_energies(left),
        "dataset": dataset,
        "compositions": tuple(sorted({*compositions(first), *compositions(anchor)})),
        "periodic": bool(np.isfinite(store.cell_F33).any()),
        "seed": task.seed,
        "base": "" if base is None else base.metadata.method,
        "notes": {"task": json.loads(task.model_dump_json())},
    }
    if older is not None:
        return settled(_inherit(task, store, older, method, base, common), anchor)
    scores = task.phases[0].objective == "scores"
    scale = force_scale(left if scores else less_base(first, base))
    return _fresh(task, store, method, base, {"scale": scale, **common})


def anchor_of(task: StageTask, store: Frames, first: Frames) -> Frames:
    """The frames that energies are relative to: the target's, or else those of one method."""
    target = target_frames(store, task.target, task.phases[-1].frames)
    if target is not None:
        return target
    return first.select(first.method_F == first.method_F[-1])


def settled(force_field: ForceField, anchor: Frames) -> ForceField:
    """The same force field with references fitted to what it leaves of the anchor's energies."""
    metadata = force_field.metadata
    none = metadata.model_copy(update={"references": dict.fromkeys(metadata.references, 0.0)})
    left = less_base(anchor, ForceField(force_field.network, none, force_field.base))
    fitted = metadata.model_copy(update={"references": reference_energies(left)})
    return ForceField(force_field.network, fitted, force_field.base)


def _fresh(
    task: StageTask,
    store: Frames,
    method: Method,
    base: ForceField | None,
    common: Mapping[str, Any],
) -> ForceField:
    last = max(0, len(task.heads) - 1)
    metadata = Metadata(
        model=_sized(task, store),
        head=head_of(method, task.heads, last),
        heads=task.heads,
        **common,
    )
    return ForceField.fresh(metadata, base=base)


def _sized(task: StageTask, store: Frames) -> ModelSettings:
    """The model with weights for every element in the store, where it names none, and heads."""
    model = task.model
    there = tuple(np.unique(store.numbers).tolist())
    found = model.elements or there
    missing = sorted(set(there) - set(found))
    if missing:
        raise InputError(
            f"{task.name} names the elements {sorted(found)}, but frames have {missing} too: add "
            "them to the model's elements, or name none"
        )
    heads = len(task.heads) or model.heads
    return model.model_copy(update={"elements": found, "heads": heads})


def _inherit(
    task: StageTask,
    store: Frames,
    older: ForceField,
    method: Method,
    base: ForceField | None,
    common: Mapping[str, Any],
) -> ForceField:
    """A method without a head of its own goes on from the head that predicted so far."""
    _refuse_another_model(task, store, older)
    _refuse_moved_heads(task, store, older)
    heads = list(task.heads or older.metadata.heads)
    head = head_of(method, tuple(heads), older.metadata.head)
    if heads and method.tier.value not in heads:
        heads[head] = method.name
    update = {**common, "head": head, "heads": tuple(heads)}
    return ForceField(older.network, older.metadata.model_copy(update=update), base)


def _refuse_another_model(task: StageTask, store: Frames, older: ForceField) -> None:
    start, model = task.start or Path(), older.metadata.model
    same: dict[str, object] = {"heads": model.heads}
    if not task.model.elements:
        same["elements"] = model.elements
    wanted = task.model.model_copy(update=same)
    if wanted != model or (task.heads and len(task.heads) != model.heads):
        raise InputError(
            f"{start} holds another model than {task.name} asks for: {_unlike(model, wanted)}. Ask "
            "for that one in the model's settings, or start from another force field"
        )
    new = sorted(set(store.numbers.tolist()) - set(model.elements))
    if new:
        raise InputError(
            f"{start} has no weights for the elements {new}; pre-train on molecules that have "
            "them, or name all elements in the model's settings"
        )


def _unlike(there: ModelSettings, asked: ModelSettings) -> str:
    """What differs: "products 0 and not 16"."""
    has, wants = there.model_dump(), asked.model_dump()
    names = ["kind"] if has["kind"] != wants["kind"] else [n for n in has if has[n] != wants[n]]
    return ", ".join(f"{name} {has[name]} and not {wants[name]}" for name in names or ["heads"])


def _refuse_moved_heads(task: StageTask, store: Frames, older: ForceField) -> None:
    """Weights keep their places, so the name of a head, and a method's way to it, keep theirs."""
    before, after = older.metadata.heads, task.heads
    places = {name: (before.index(name), after.index(name)) for name in before if name in after}
    for method in store.methods:
        places[method.name] = (head_of(method, before, -1), head_of(method, after, -1))
    moved = [name for name, (old, new) in places.items() if min(old, new) >= 0 and old != new]
    if moved:
        raise InputError(
            f"the heads of {task.start} are {', '.join(before)}; {task.name} names them "
            f"{', '.join(after)}, which moves {', '.join(moved)}: keep each in its place"
        )
