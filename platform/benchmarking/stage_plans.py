"""Stages of a benchmark as tasks: one schedule and one seed, whatever store they read."""

from dataclasses import dataclass
from pathlib import Path

from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.presets import Preset, with_effort
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.tasks import Phase, Selection, StageTask

ACCURATE, CHEAP = Tier.CCSD, Tier.DFT
"""The tiers that the two files stand for, whatever their methods are."""
STAGES = "stages"
"""The folder of all of them in a benchmark's."""
MOST_SEEDS = 1000
"""Seeds that may be asked for; those of a committee's members are so far apart."""
_VALIDATION = Selection(tiers=(ACCURATE,), purposes=(Purpose.VALIDATION,))


@dataclass(frozen=True, slots=True)
class Course:
    """All trainings of one seed by one preset; `stages` is where their folders go.

    The seed draws weights and batches. `prefix` tells the names of a course from those of others.
    Members of a committee, from 1 on, have seeds beyond those of all others.
    """

    stages: Path
    preset: Preset
    seed: int
    prefix: str

    @classmethod
    def of(
        cls, stages: Path, preset: Preset, seed: int, effort: float, member: int = 0
    ) -> "Course":
        """The course of a seed at an effort, by the preset of effort 1."""
        prefix = f"seed{seed}-" + ("" if effort == 1 else f"effort{effort:g}-")
        prefix += f"member{member}-" if member else ""
        return cls(stages, with_effort(preset, effort), seed + MOST_SEEDS * member, prefix)

    def standard(self, frames: Path, name: str) -> StageTask:
        """From random weights on the accurate frames, chosen by validation."""
        return self._task(f"{name}-standard", frames, ACCURATE, self.preset.standard)

    def pretrain(
        self, frames: Path, name: str, *, teacher: Path | None = None, c: float | None = None
    ) -> StageTask:
        """From random weights on the cheap frames, weighted by a teacher where there is one."""
        task = self._task(f"{name}-pretrain", frames, CHEAP, self.preset.pretrain)
        return task.model_copy(update={"validation": None, "teacher": teacher, "c": c})

    def scores(self, frames: Path, name: str, temperature: float) -> StageTask:
        """Pre-training on the geometries of the cheap frames, sampled at `temperature` K.

        Validation frames choose its best step: the loss of finitely many samples has no lower
        bound, and falls for ever where forces vanish and curve sharply at each of them.
        """
        task = self._task(f"{name}-pretrain", frames, CHEAP, self.preset.pretrain)
        (phase,) = task.phases
        phase = phase.model_copy(update={"objective": "scores", "temperature": temperature})
        return task.model_copy(update={"phases": (phase,)})

    def finetune(self, frames: Path, name: str, start: Path) -> StageTask:
        """From the weights of `start` on the accurate frames, chosen by validation."""
        return self._tuned(frames, name, start, self.preset.finetune)

    def then_finetune(self, pretrain: StageTask, frames: Path) -> Chain:
        """A pre-training on labels and the fine-tuning of it on the accurate frames of `frames`."""
        return pretrain, self.finetune(frames, self._what(pretrain), pretrain.output)

    def then_train(self, scores: StageTask, frames: Path) -> Chain:
        """Score matching, and a training from its weights that is as long as standard training.

        Geometries alone leave a force field that is far from any (LOG.md, 2026-11-29).
        """
        fit = self.preset.standard
        return scores, self._tuned(frames, self._what(scores), scores.output, fit)

    def _what(self, pretrain: StageTask) -> str:
        return pretrain.name.removeprefix(self.prefix).removesuffix("-pretrain")

    def _tuned(self, frames: Path, name: str, start: Path, fit: FitSettings) -> StageTask:
        task = self._task(f"{name}-finetune", frames, ACCURATE, fit)
        return task.model_copy(update={"start": start})

    def _task(self, name: str, frames: Path, tier: Tier, fit: FitSettings) -> StageTask:
        phase = Phase(
            frames=Selection(tiers=(tier,)), fit=fit.model_copy(update={"seed": self.seed})
        )
        return StageTask(
            name=self.prefix + name,
            frames=frames,
            output=self.stages / (self.prefix + name),
            target=ACCURATE,
            phases=(phase,),
            validation=_VALIDATION,
            model=self.preset.model,
            seed=self.seed,
        )
