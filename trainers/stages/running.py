"""Run one `StageTask`: plain torch, no Ray.

Never broken:
- the output folder is complete or absent; it holds a force field and `stage.json`;
- a complete output of the same task on the same data set is taken as it is;
- an interrupted stage goes on from its last checkpoint and ends with the same bits. Checkpoints
  lie in `<output>.work/<task and data set>` until the stage is complete;
- with several data-parallel workers all compute, the first one writes.
"""

import hashlib
import json
import math
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import dataset_version, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.frames import Frames
from forgefield.trainers.fitting.fit import FitResult, Watch, fit, rank
from forgefield.trainers.force_field import ForceField, Metadata, publish, sync
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import ModelSettings
from forgefield.trainers.references import compositions, force_scale, reference_energies
from forgefield.trainers.stages.data import (
    PhaseData,
    chosen,
    graphs_of,
    phase_data,
    target_frames,
)
from forgefield.trainers.stages.tasks import (
    DESCRIPTION,
    Phase,
    PhaseResult,
    StageProgress,
    StageResult,
    StageTask,
    WatchStage,
    finished,
    task_key,
)


def run_stage(
    task: StageTask, progress: WatchStage | None = None, *, device: str = "cpu"
) -> StageResult:
    """Train what `task` says, or find that it was trained before.

    The hold-out is locked meanwhile. Raises `InputError` where frames or force fields that it
    names are missing.
    """
    torch.set_num_threads(task.threads)
    with holdout_locked():
        dataset = str(dataset_version(task.frames))
        done = finished(task, dataset)
        return done or _Stage(task, dataset, progress, device).run()


class _Stage:
    def __init__(
        self, task: StageTask, dataset: str, progress: WatchStage | None, device: str
    ) -> None:
        self.task, self.dataset, self.progress, self.device = task, dataset, progress, device
        self.frames = load_frames(task.frames)
        self.key = task_key(task)
        self.teacher = None if task.teacher is None else ForceField.load(task.teacher)
        version = hashlib.blake2b(self.dataset.encode(), digest_size=8).hexdigest()
        self.work = task.output.with_name(f"{task.output.name}.work") / f"{self.key}-{version}"
        self.results: list[PhaseResult] = []

    def run(self) -> StageResult:
        started = time.monotonic()
        first = phase_data(self.frames, self.task.phases[0], self.teacher, self.task.c)
        force_field = self._begin(first.frames)
        for place, phase in enumerate(self.task.phases):
            data = first if place == 0 else self._data(phase)
            self._phase(place, phase, data, force_field)
        result = self._result(time.monotonic() - started)
        if rank() == 0:
            self._publish(force_field, result)
        return result

    def _data(self, phase: Phase) -> PhaseData:
        return phase_data(self.frames, phase, self.teacher, self.task.c)

    def _begin(self, frames: Frames) -> ForceField:
        """The force field before the first step, with what its numbers are relative to."""
        task = self.task
        target = target_frames(self.frames, task.target, task.phases[-1].frames)
        anchor = frames if target is None else target
        if target is None:
            anchor = frames.select(frames.method_F == frames.method_F[-1])
        method = anchor.methods[int(anchor.method_F[0])].name
        references = reference_energies(anchor)
        if task.start is None:
            metadata = Metadata(
                method=method,
                scale=force_scale(frames),
                references=references,
                model=self._sized(task.model),
                dataset=self.dataset,
                compositions=compositions(frames),
                seed=task.seed,
                notes={"task": json.loads(task.model_dump_json())},
            )
            fresh = ForceField.fresh(metadata)
        else:
            fresh = self._inherit(task.start, method, references)
        fresh.network.to(self.device)
        return fresh

    def _sized(self, model: ModelSettings) -> ModelSettings:
        """The model with weights for every element in the store, where it names none."""
        found = tuple(np.unique(self.frames.numbers).tolist())
        return model if model.elements else model.model_copy(update={"elements": found})

    def _inherit(self, start: Path, method: str, references: dict[int, float]) -> ForceField:
        older = ForceField.load(start)
        if older.metadata.model != self._sized(self.task.model):
            raise InputError(f"{start} holds another model than {self.task.name} asks for")
        update = {
            "method": method,
            "references": references,
            "dataset": self.dataset,
            "seed": self.task.seed,
            "notes": {"task": json.loads(self.task.model_dump_json())},
        }
        return ForceField(older.network, older.metadata.model_copy(update=update))

    def _phase(self, place: int, phase: Phase, data: PhaseData, force_field: ForceField) -> None:
        scale = force_field.metadata.scale
        train = self._graphs(data, force_field)
        outcome = fit(
            force_field.network,
            train,
            self._validation(force_field),
            phase.fit,
            scale=scale,
            checkpoint=self.work / f"phase-{place}.safetensors",
            watch=self._watch(place),
        )
        self.results.append(_phase_result(data, outcome))

    def _graphs(self, data: PhaseData, force_field: ForceField) -> GraphSet:
        methods = {data.frames.methods[index].name for index in data.frames.method_F}
        own = methods == {force_field.metadata.method}
        return graphs_of(
            data.frames,
            force_field.network.cutoff,
            force_field.metadata.scale,
            force_field.metadata.references if own else None,
            data.weight_F,
        )

    def _validation(self, force_field: ForceField) -> GraphSet | None:
        if self.task.validation is None:
            return None
        frames = chosen(self.frames, self.task.validation)
        metadata = force_field.metadata
        return graphs_of(frames, force_field.network.cutoff, metadata.scale)

    def _watch(self, place: int) -> Watch | None:
        watch = self.progress
        if watch is None:
            return None
        name, phases = self.task.name, len(self.task.phases)
        return lambda line: watch(StageProgress(name, place + 1, phases, line))

    def _result(self, wall_s: float) -> StageResult:
        return StageResult(
            name=self.task.name,
            output=self.task.output,
            key=self.key,
            dataset=self.dataset,
            phases=tuple(self.results),
            validation=self.results[-1].validation,
            wall_s=wall_s,
        )

    def _publish(self, force_field: ForceField, result: StageResult) -> None:
        partial = self.work / "output"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        force_field.write_into(partial)
        text = result.model_dump_json(indent=1) + "\n"
        (partial / DESCRIPTION).write_text(text, encoding="utf-8")
        sync(partial / DESCRIPTION)
        self.task.output.parent.mkdir(parents=True, exist_ok=True)
        publish(partial, self.task.output)
        shutil.rmtree(self.work.parent, ignore_errors=True)


def _phase_result(data: PhaseData, outcome: FitResult) -> PhaseResult:
    weights = data.weights
    gamma = math.inf if weights is None else weights.gamma
    return PhaseResult(
        frames=len(data.frames),
        steps=outcome.steps,
        best_step=outcome.best_step,
        validation=outcome.validation if math.isfinite(outcome.validation) else None,
        gamma=gamma if math.isfinite(gamma) else None,
        median_bias=None if weights is None else weights.median_bias,
    )
