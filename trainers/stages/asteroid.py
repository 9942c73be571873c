"""The three stages of ASTEROID, the baseline and the learning curve, wired on one page.

How tasks are run is the caller's business: a *runner* takes chains of tasks that don't depend on
each other and returns their results in order (`plain_runner` here, `ray_train.run_stages` in
parallel). Orchestration is a function of the settings and the data: called again after a crash
it finds finished stages and goes on with the rest.

    stage 1 ──┬─ for each c: rung ─┬─ rung ─┬─ …      choose a fine-tuned rung ── its curve
    (baseline)│             fine-tuning  fine-tuning
              └─ curve of the baseline on nested subsets

The cheap tiers are a ladder: each rung goes on from the weights of the one before, and each is
fine-tuned, because a dearer method is not always a nearer one (LOG.md). Every choice is by the
validation frames. The hold-out is unknown here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.tasks import Phase, Selection, StageResult, StageTask, WatchStage

Chain = tuple[StageTask, ...]
"""Tasks in the order in which they need each other."""
Runner = Callable[[Sequence[Chain]], Sequence[tuple[StageResult, ...]]]


UNWEIGHTED = "unweighted"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhaseSettings(_Frozen):
    """One rung of pre-training; tiers without frames are left out, empty rungs skipped."""

    tiers: tuple[Tier, ...]
    fit: FitSettings
    equal_mass: bool = False


class AsteroidSettings(_Frozen):
    """Settings of all stages. `c_grid` is searched in γ = c·median(B); null is unweighted.

    TOML has no null: there it is written "unweighted".

    `curve` are the fractions of the accurate training frames of the learning curve, below 1.
    """

    model: ModelSettings = EGNNSettings()
    target: Tier = Tier.CCSD
    standard: FitSettings = FitSettings(
        steps=1200, rate=1e-3, batch=8, ema=0.99, evaluate_every=50, patience=12
    )
    pretrain: tuple[PhaseSettings, ...] = (
        PhaseSettings(tiers=(Tier.XTB,), fit=FitSettings(steps=1000, rate=3e-3)),
        PhaseSettings(tiers=(Tier.DFT,), fit=FitSettings(steps=300, rate=5e-4)),
    )
    finetune: FitSettings = FitSettings(
        steps=800, rate=3e-4, batch=8, ema=0.99, evaluate_every=25, patience=12, warm_up=50
    )
    c_grid: tuple[float | None, ...] = Field(default=(1.0, None), min_length=1)
    curve: tuple[float, ...] = (0.25, 0.5)
    seed: int = 0

    @field_validator("c_grid", mode="before")
    @classmethod
    def _read_unweighted(cls, values: object) -> object:
        if not isinstance(values, list | tuple):
            return values
        return tuple(None if value == UNWEIGHTED else value for value in values)


class Trial(_Frozen):
    """One value of c on one rung; `tiers` are all that it climbed, in their order.

    `pretrain` is the last rung, `gammas` its γ in eV/Å (null where frames weren't weighted).
    """

    c: float | None
    tiers: tuple[Tier, ...]
    gammas: tuple[float | None, ...]
    pretrain: StageResult
    finetune: StageResult


class CurvePoint(_Frozen):
    """Force field of one kind trained on `fraction` of the accurate frames, `frames` of them."""

    kind: Literal["standard", "finetuned"]
    fraction: float
    frames: int
    validation: float | None
    force_field: Path


class TrainingOutcome(_Frozen):
    """What training left: folders of force fields and validation errors, eV/Å."""

    baseline: StageResult
    trials: tuple[Trial, ...]
    chosen: int
    curve: tuple[CurvePoint, ...]

    @property
    def best(self) -> Trial:
        """The trial with the smallest validation error."""
        return self.trials[self.chosen]

    @property
    def force_field(self) -> Path:
        """Folder of the fine-tuned force field that was chosen."""
        return self.best.finetune.output


def plain_runner(progress: WatchStage | None = None) -> Runner:
    """Runs tasks one after another in this process."""
    from forgefield.trainers.stages.running import run_stage

    return lambda chains: [tuple(run_stage(task, progress) for task in chain) for chain in chains]


def train(
    frames: Path,
    folder: Path,
    settings: AsteroidSettings,
    runner: Runner,
    *,
    cheap_tiers: Sequence[Tier],
) -> TrainingOutcome:
    """Run all stages into `folder`; `cheap_tiers` are those that have frames in the store.

    Raises `InputError` where no phase of pre-training has frames.
    """
    plan = _Plan(frames, folder, settings, tuple(cheap_tiers))
    ((baseline,),) = runner([(plan.standard(1.0),)])
    *climbs, standard = runner(
        [*(plan.climb(c, baseline.output) for c in settings.c_grid), plan.standard_curve()]
    )
    trials = tuple(
        trial
        for c, climb in zip(settings.c_grid, climbs, strict=True)
        for trial in plan.trials(c, climb)
    )
    chosen = min(range(len(trials)), key=lambda place: _score(trials[place].finetune))
    (tuned,) = runner([plan.finetuned_curve(trials[chosen].pretrain.output)])
    points = plan.points((*standard, baseline), (*tuned, trials[chosen].finetune))
    return TrainingOutcome(baseline=baseline, trials=trials, chosen=chosen, curve=points)


class _Plan:
    """Tasks by name; all that they have in common is said once."""

    def __init__(
        self, frames: Path, folder: Path, settings: AsteroidSettings, cheap: tuple[Tier, ...]
    ) -> None:
        self.frames, self.folder, self.settings = frames, folder, settings
        target = settings.target
        self.validation = Selection(tiers=(target,), purposes=(Purpose.VALIDATION,))
        self.rungs = tuple(
            phase.model_copy(update={"tiers": tuple(t for t in phase.tiers if t in cheap)})
            for phase in settings.pretrain
            if any(tier in cheap for tier in phase.tiers)
        )
        if not self.rungs:
            raise InputError(f"no cheap frames to pre-train on: tiers at hand are {list(cheap)}")

    def standard(self, fraction: float) -> StageTask:
        phase = self._accurate(self.settings.standard, fraction)
        return self._task(f"standard-{fraction:g}", (phase,), validation=self.validation)

    def climb(self, c: float | None, teacher: Path) -> Chain:
        """Pre-training and fine-tuning of every rung, each from the weights of the one below."""
        tasks: list[StageTask] = []
        below = None
        for place, rung in enumerate(self.rungs):
            name = "unweighted" if c is None else f"c-{c:g}"
            name = f"pretrain-{name}-" + "-".join(self._tiers(place))
            phase = Phase(
                frames=Selection(tiers=rung.tiers), fit=rung.fit, equal_mass=rung.equal_mass
            )
            task = self._task(name, (phase,), start=below, teacher=teacher, c=c)
            below = task.output
            tasks += [task, self.finetune(below, 1.0)]
        return tuple(tasks)

    def trials(self, c: float | None, climb: Sequence[StageResult]) -> list[Trial]:
        """The results of a climb, one trial a rung."""
        return [
            Trial(
                c=c,
                tiers=self._tiers(place),
                gammas=tuple(phase.gamma for phase in pretrain.phases),
                pretrain=pretrain,
                finetune=finetune,
            )
            for place, (pretrain, finetune) in enumerate(zip(climb[::2], climb[1::2], strict=True))
        ]

    def _tiers(self, place: int) -> tuple[Tier, ...]:
        return tuple(tier for rung in self.rungs[: place + 1] for tier in rung.tiers)

    def finetune(self, pretrained: Path, fraction: float) -> StageTask:
        phase = self._accurate(self.settings.finetune, fraction)
        name = f"finetune-{pretrained.name.removeprefix('pretrain-')}-{fraction:g}"
        return self._task(name, (phase,), validation=self.validation, start=pretrained)

    def standard_curve(self) -> Chain:
        return tuple(self.standard(fraction) for fraction in self.settings.curve)

    def finetuned_curve(self, pretrained: Path) -> Chain:
        return tuple(self.finetune(pretrained, fraction) for fraction in self.settings.curve)

    def points(
        self, standard: Sequence[StageResult], tuned: Sequence[StageResult]
    ) -> tuple[CurvePoint, ...]:
        return (
            *(self._point("standard", *at) for at in enumerate(standard)),
            *(self._point("finetuned", *at) for at in enumerate(tuned)),
        )

    def _point(
        self, kind: Literal["standard", "finetuned"], place: int, result: StageResult
    ) -> CurvePoint:
        return CurvePoint(
            kind=kind,
            fraction=(*self.settings.curve, 1.0)[place],
            frames=result.phases[-1].frames,
            validation=result.validation,
            force_field=result.output,
        )

    def _accurate(self, fit: FitSettings, fraction: float) -> Phase:
        selection = Selection(
            tiers=(self.settings.target,), fraction=fraction, seed=self.settings.seed
        )
        return Phase(frames=selection, fit=fit)

    def _task(
        self,
        name: str,
        phases: tuple[Phase, ...],
        *,
        validation: Selection | None = None,
        start: Path | None = None,
        teacher: Path | None = None,
        c: float | None = None,
    ) -> StageTask:
        return StageTask(
            name=name,
            frames=self.frames,
            output=self.folder / name,
            target=self.settings.target,
            phases=phases,
            validation=validation,
            start=start,
            teacher=teacher,
            c=c,
            model=self.settings.model,
            seed=self.settings.seed,
        )


def _score(result: StageResult) -> float:
    return float("inf") if result.validation is None else result.validation
