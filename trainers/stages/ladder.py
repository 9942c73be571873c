"""The tasks of the three stages by name; all that they have in common is said once.

The cheap tiers are a ladder: each rung goes on from the weights of the one before, and each is
fine-tuned. A rung that has a grid of c of its own branches: all its values go on from the same
weights. A climb is such a tree, depth first, so that no stage is in two chains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid_settings import (
    AsteroidSettings,
    Chain,
    PhaseSettings,
    Trial,
)
from forgefield.trainers.stages.tasks import Phase, Selection, StageResult, StageTask

Cs = tuple[float | None, ...]
"""A value of c for each rung of a way up, or those to try on the next one."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One pre-training with its fine-tuning; `cs` and `tiers` are those of the whole way up."""

    cs: Cs
    tiers: tuple[Tier, ...]
    pretrain: StageTask
    finetune: StageTask


class Ladder:
    """Makes tasks on one store into one folder; `cheap` are the tiers that have frames."""

    def __init__(
        self, frames: Path, folder: Path, settings: AsteroidSettings, cheap: tuple[Tier, ...]
    ) -> None:
        self.frames, self.folder, self.settings = frames, folder, settings
        self.validation = Selection(tiers=(settings.target,), purposes=(Purpose.VALIDATION,))
        self.phases = tuple(
            phase.model_copy(update={"tiers": tuple(t for t in phase.tiers if t in cheap)})
            for phase in settings.pretrain
            if any(tier in cheap for tier in phase.tiers)
        )
        if not self.phases:
            raise InputError(f"no cheap frames to pre-train on: tiers at hand are {list(cheap)}")

    def standard(self, fraction: float) -> StageTask:
        """Stage 1, and the baseline."""
        phase = self._accurate(self.settings.standard, fraction)
        return self._task(f"standard-{fraction:g}", phase, validation=self.validation)

    def finetune(self, pretrained: Path, fraction: float) -> StageTask:
        """Stage 3 from a pre-trained force field."""
        phase = self._accurate(self.settings.finetune, fraction)
        name = f"finetune-{pretrained.name.removeprefix('pretrain-')}-{fraction:g}"
        return self._task(name, phase, validation=self.validation, start=pretrained)

    def climbs(self, teacher: Path) -> list[list[Rung]]:
        """One climb for each c of the first rung."""
        return [
            self._from(0, (c,), None, teacher)
            for c in self._grid(self.phases[0], self.settings.c_grid)
        ]

    def _from(self, place: int, cs: Cs, below: Path | None, teacher: Path) -> list[Rung]:
        """The rung at `place`, and all that goes on from it."""
        pretrain = self._pretrain(place, cs, below, teacher)
        tuned = self.finetune(pretrain.output, 1.0)
        rungs = [Rung(cs, self._tiers(place), pretrain, tuned)]
        if place + 1 < len(self.phases):
            for c in self._grid(self.phases[place + 1], self._inherited(place, cs)):
                rungs += self._from(place + 1, (*cs, c), pretrain.output, teacher)
        return rungs

    def _inherited(self, place: int, cs: Cs) -> Cs:
        """What the next rung takes for c where it says nothing: above scores all are open again."""
        weighs = self.phases[place].objective == "labels"
        return cs[-1:] if weighs else self.settings.c_grid

    def _grid(self, phase: PhaseSettings, inherited: Cs) -> Cs:
        """Score matching reads no labels, so it weighs none."""
        return (None,) if phase.objective == "scores" else phase.c_grid or inherited

    def _pretrain(self, place: int, cs: Cs, below: Path | None, teacher: Path) -> StageTask:
        settings = self.phases[place]
        phase = Phase(
            frames=Selection(tiers=settings.tiers),
            fit=settings.fit,
            equal_mass=settings.equal_mass,
            objective=settings.objective,
            temperature=settings.temperature,
            slices=settings.slices,
        )
        weighted = settings.objective == "labels" and cs[-1] is not None
        return self._task(
            self._name(place, cs),
            phase,
            start=below,
            teacher=teacher if weighted else None,
            c=cs[-1],
        )

    def _name(self, place: int, cs: Cs) -> str:
        """`pretrain-c-1-xtb-dft`; where c changes on the way it is said again."""
        words, said = ["pretrain"], None
        for phase, c in zip(self.phases[: place + 1], cs, strict=True):
            word = "unweighted" if c is None else f"c-{c:g}"
            word = "scores" if phase.objective == "scores" else word
            words += [*([] if word == said else [word]), *phase.tiers]
            said = word
        return "-".join(words)

    def _tiers(self, place: int) -> tuple[Tier, ...]:
        return tuple(tier for phase in self.phases[: place + 1] for tier in phase.tiers)

    def standard_curve(self) -> Chain:
        """The baseline on parts of the accurate frames."""
        return tuple(self.standard(fraction) for fraction in self.settings.curve)

    def finetuned_curve(self, pretrained: Path) -> Chain:
        """Fine-tuning on parts of the accurate frames."""
        return tuple(self.finetune(pretrained, fraction) for fraction in self.settings.curve)

    def _accurate(self, fit: FitSettings, fraction: float) -> Phase:
        selection = Selection(
            tiers=(self.settings.target,), fraction=fraction, seed=self.settings.seed
        )
        return Phase(frames=selection, fit=fit)

    def _task(
        self,
        name: str,
        phase: Phase,
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
            phases=(phase,),
            validation=validation,
            start=start,
            teacher=teacher,
            c=c,
            model=self.settings.model,
            seed=self.settings.seed,
        )


def chain_of(climb: Sequence[Rung]) -> Chain:
    """Every rung and its fine-tuning, in an order in which nothing waits for a later one."""
    return tuple(task for rung in climb for task in (rung.pretrain, rung.finetune))


def way_to(top: Rung, climbs: Sequence[Sequence[Rung]]) -> Chain:
    """The pre-trainings that lead to a rung, and its fine-tuning alone."""
    (climb,) = (climb for climb in climbs if top in climb)
    below = {rung.pretrain.output: rung.pretrain for rung in climb}
    way = [top.finetune, top.pretrain]
    while way[-1].start in below:
        way.append(below[way[-1].start])
    return tuple(reversed(way))


def trials_of(climb: Sequence[Rung], results: Sequence[StageResult]) -> list[Trial]:
    """The results of a climb's chain, one trial a rung."""
    pairs = zip(results[::2], results[1::2], strict=True)
    return [
        Trial(
            c=rung.cs[-1],
            cs=rung.cs,
            tiers=rung.tiers,
            gammas=tuple(phase.gamma for phase in pretrain.phases),
            pretrain=pretrain,
            finetune=finetune,
        )
        for rung, (pretrain, finetune) in zip(climb, pairs, strict=True)
    ]
