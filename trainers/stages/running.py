"""Run one `StageTask`: plain torch, no Ray.

Never broken:
- the output folder is complete or absent; it holds a force field and `stage.json`;
- a complete output of the same task on the same data set is taken as it is;
- an interrupted stage goes on from its last checkpoint and ends with the same bits. Checkpoints
  lie in `<output>.work/<task and data set>` until the stage is complete;
- with several data-parallel workers all compute, the first one writes, and none goes on before
  it has.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.frame_store import dataset_version, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.records import Method
from forgefield.trainers.fitting.fit import Watch, fit
from forgefield.trainers.fitting.processes import rank, workers
from forgefield.trainers.force_field import ForceField, publish, sync
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.stages.beginning import anchor_of, begin, settled
from forgefield.trainers.stages.data import (
    PhaseData,
    chosen,
    graphs_of,
    heads_of,
    less_base,
    phase_data,
    trained_heads,
)
from forgefield.trainers.stages.finished import finished, task_key
from forgefield.trainers.stages.freezing import frozen
from forgefield.trainers.stages.made import made_here
from forgefield.trainers.stages.phases import objective_of, phase_result
from forgefield.trainers.stages.tasks import (
    DESCRIPTION,
    Phase,
    PhaseResult,
    StageProgress,
    StageResult,
    StageTask,
    WatchStage,
)


def run_stage(
    task: StageTask, progress: WatchStage | None = None, *, device: str = "cpu"
) -> StageResult:
    """Train what `task` says, or find that it was trained before.

    The hold-out is locked meanwhile, and torch has the task's threads. Raises `InputError` where
    frames or force fields that it names are missing, `TrainingDiverged` with the stage's name.
    """
    with _threads(task.threads), holdout_locked():
        dataset = str(dataset_version(task.frames))
        done = finished(task, dataset)
        _wait_for_all()
        try:
            return done or _Stage(task, dataset, progress, device).run()
        except TrainingDiverged as error:
            raise TrainingDiverged(f"{task.name}: {error}") from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Stage:
    def __init__(
        self, task: StageTask, dataset: str, progress: WatchStage | None, device: str
    ) -> None:
        self.task, self.dataset, self.progress, self.device = task, dataset, progress, device
        self.frames = load_frames(task.frames)
        self.key = task_key(task)
        teacher = task.teacher
        self.teacher = None if teacher is None else ForceField.load(teacher, device=device)
        version = hashlib.blake2b(self.dataset.encode(), digest_size=8).hexdigest()
        self.work = task.output.with_name(f"{task.output.name}.work") / f"{self.key}-{version}"
        self.results: list[PhaseResult] = []
        self.seconds = 0.0

    def run(self) -> StageResult:
        first = self._data(self.task.phases[0])
        force_field = begin(self.task, self.frames, first.frames, self.dataset).to(self.device)
        for place, phase in enumerate(self.task.phases):
            data = first if place == 0 else self._data(phase)
            self._phase(place, phase, data, force_field)
        force_field = settled(force_field, anchor_of(self.task, self.frames, first.frames))
        result = self._result()
        if rank() == 0:
            self._publish(force_field, result)
        _wait_for_all()
        return result

    def _data(self, phase: Phase) -> PhaseData:
        return phase_data(self.frames, phase, self.teacher, self.task.c)

    def _phase(self, place: int, phase: Phase, data: PhaseData, force_field: ForceField) -> None:
        with frozen(force_field.network, phase.frozen):
            outcome = fit(
                force_field.network,
                self._graphs(data, force_field),
                self._validation(force_field),
                phase.fit,
                scale=force_field.metadata.scale,
                objective=objective_of(phase, force_field),
                checkpoint=self.work / f"phase-{place}.safetensors",
                watch=self._watch(place),
            )
        self.results.append(phase_result(data, outcome))
        self.seconds += outcome.seconds

    def _graphs(self, data: PhaseData, force_field: ForceField) -> GraphSet:
        metadata = force_field.metadata
        return graphs_of(
            less_base(data.frames, force_field.base),
            force_field.network.cutoff,
            metadata.scale,
            {self._imitated(metadata.method): metadata.references},
            weight_F=data.weight_F,
            head_F=trained_heads(data.frames, metadata.heads, metadata.head),
            device=self.device,
        )

    def _imitated(self, name: str) -> Method:
        """The method that the references are of; two files may give two tiers one name."""
        named = [method for method in self.frames.methods if method.name == name]
        of_target = [method for method in named if method.tier == self.task.target]
        return (of_target or named)[0]

    def _validation(self, force_field: ForceField) -> GraphSet | None:
        """Only the forces count, so energies keep their own references."""
        if self.task.validation is None:
            return None
        frames = chosen(self.frames, self.task.validation)
        metadata = force_field.metadata
        return graphs_of(
            less_base(frames, force_field.base),
            force_field.network.cutoff,
            metadata.scale,
            head_F=heads_of(frames, metadata.heads, metadata.head),
            device=self.device,
        )

    def _watch(self, place: int) -> Watch | None:
        watch = self.progress
        if watch is None:
            return None
        name, phases = self.task.name, len(self.task.phases)
        return lambda line: watch(StageProgress(name, place + 1, phases, line))

    def _result(self) -> StageResult:
        return StageResult(
            name=self.task.name,
            output=self.task.output,
            key=self.key,
            dataset=self.dataset,
            phases=tuple(self.results),
            validation=self.results[-1].validation,
            wall_s=self.seconds,
            made=made_here(self.device, self.task.threads),
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


def _wait_for_all() -> None:
    if workers() > 1:
        dist.barrier()
