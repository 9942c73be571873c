"""Learning curves: fine-tuned against standard training on nested sets of accurate frames.

One pre-training a seed on all cheap frames but those with the geometry of a test or validation
frame; the training frames' own geometries may be among them (paired files). Then for each size the
same accurate frames by both ways. Test frames are the first after the training frames of the
shuffle (`draws`), and no training sees them at any level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.describing import draw_notes, length_note
from forgefield.platform.benchmarking.draws import Index, cheap_draw, each, index_hash
from forgefield.platform.benchmarking.folders import own_folder
from forgefield.platform.benchmarking.hours import settled
from forgefield.platform.benchmarking.kinds import CurveKind
from forgefield.platform.benchmarking.preparing import Prepared, prepare
from forgefield.platform.benchmarking.results import (
    LeftOut,
    Results,
    Row,
    history,
    origin,
    places_of,
)
from forgefield.platform.benchmarking.running import stages_of, train_all
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.platform.benchmarking.stores import Part, accurate_parts
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.elements import formula
from forgefield.storage.errors import InputError, TrainingDiverged
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.tasks import StageResult, StageTask

KIND = "curve"
PRETRAINED = "pre-trained"
Place = tuple[str, int, float, int]
"""Row, seed, effort, size; 0 of a pre-training, which all sizes share."""


@dataclass(frozen=True, slots=True)
class CurveTerms:
    """Sizes of the accurate sets; `low` cheap frames at most, by default all."""

    sizes: tuple[int, ...] = (25, 50, 100, 200)
    low: int | None = None


def benchmark_curve(asked: Asked, terms: CurveTerms, reporter: Reporter) -> Results:
    """Train and measure what isn't there yet; raises `InputError` before anything is computed."""
    if not terms.sizes or min(terms.sizes) < 1:
        raise InputError(f"{list(terms.sizes)} are no sizes of training sets; say --sizes 25,50.")
    prepared = prepare(asked, max(terms.sizes), reporter)
    _Curve(prepared, terms).refuse_no_cheap_frames()
    with own_folder(prepared, KIND, None):
        prepared = settled(prepared, lambda at: [_Curve(at, terms).chains()], reporter)
        curve = _Curve(prepared, terms)
        found = train_all(curve.chains(), prepared, reporter)
        reporter.say("Measuring on the test frames …")
        for draw, judge in curve.judges.items():
            judge.save_labels(draw)
        return curve.results(*curve.rows(found))


class _Curve:
    def __init__(self, prepared: Prepared, terms: CurveTerms) -> None:
        self.prepared, self.terms = prepared, terms
        pools = {draw.seed: prepared.pool(draw, paired=True) for draw in prepared.draws}
        self.cheap: dict[int, Index] = {
            seed: cheap_draw(pool, len(pool) if terms.low is None else terms.low, seed)
            for seed in range(prepared.asked.seeds)
            for pool in [pools[prepared.draw(seed).seed]]
        }

    @cached_property
    def judges(self) -> dict[int, Judge]:
        """Who measures, by the seed of the draw."""
        return {draw.seed: self.prepared.judge(draw) for draw in self.prepared.draws}

    def refuse_no_cheap_frames(self) -> None:
        """Raise `InputError` where there is nothing to pre-train on."""
        if not min(map(len, self.cheap.values())):
            raise InputError("Every cheap frame has the geometry of a test or validation frame.")

    def chains(self) -> dict[Place, Chain]:
        """Pre-training, fine-tuning of it at each size, and standard training at each size."""
        asked = self.prepared.asked
        courses = list(product(range(asked.seeds), asked.efforts))
        places = [(*course, size) for course in courses for size in self.terms.sizes]
        return {
            **{(PRETRAINED, *course, 0): (self._pretrain(*course),) for course in courses},
            **{(CurveKind.STANDARD, *place): (self._standard(*place),) for place in places},
            **{(CurveKind.TUNED, *place): (self._finetune(*place),) for place in places},
        }

    def rows(self, found: Mapping[Place, Ending]) -> tuple[list[Row], list[LeftOut]]:
        """The points of both curves by what was trained for `chains`, and those that diverged."""
        rows, left_out = [], []
        for place in [place for kind in CurveKind for place in found if place[0] == kind]:
            try:
                rows.append(self._row(place, self._stages(found, place)))
            except TrainingDiverged as error:
                row, seed, effort, size = place
                lost = LeftOut(row=row, reason=str(error), seed=seed, effort=effort, accurate=size)
                left_out.append(lost)
        return rows, left_out

    def _stages(self, found: Mapping[Place, Ending], place: Place) -> tuple[StageResult, ...]:
        row, seed, effort, _ = place
        before = stages_of(found, (PRETRAINED, seed, effort, 0)) if row == CurveKind.TUNED else ()
        return (*before, *stages_of(found, place))

    def _row(self, place: Place, stages: tuple[StageResult, ...]) -> Row:
        row, seed, effort, size = place
        seconds, last = sum(stage.wall_s for stage in stages), stages[-1]
        known = last.validation
        return Row(
            row=row,
            seed=seed,
            effort=effort,
            accurate=size,
            cheap=len(self.cheap[seed]) if row == CurveKind.TUNED else 0,
            score=self.judges[self.prepared.draw(seed).seed].stage(last),
            validation=None if known is None else known * KCAL_PER_MOL_PER_EV,
            seconds=seconds,
            search_seconds=seconds,
            force_field=last.output,
            made=places_of(stages),
            history=history(stages),
        )

    def results(self, rows: list[Row], left_out: list[LeftOut]) -> Results:
        """Everything that the folder's `results.json` holds."""
        prepared = self.prepared
        left = [len(prepared.cheap) - len(prepared.pool(d, paired=True)) for d in prepared.draws]
        trained = (
            f"Pre-trained on {each(map(len, self.cheap.values()))} cheap frames; {each(left)} have "
            "a geometry of a test or validation frame and are not trained on."
        )
        return Results(
            kind=KIND,
            molecule=formula(prepared.accurate.numbers),
            name=prepared.paper_name(),
            model=prepared.preset.model.kind,
            origin=origin(prepared.device, prepared.parallel),
            files=prepared.facts(),
            preset=prepared.preset,
            draws={str(each.seed): each for each in prepared.draws},
            cheap={str(seed): places for seed, places in self.cheap.items()},
            cheap_hash={str(seed): index_hash(places) for seed, places in self.cheap.items()},
            no_force=prepared.no_force(),
            shared=max(left),
            notes=(*draw_notes(prepared.draws), trained, length_note(prepared.preset)),
            rows=tuple(rows),
            left_out=tuple(left_out),
        )

    def _accurate(self, seed: int, size: int) -> Path:
        prepared = self.prepared
        return prepared.store(accurate_parts(prepared.accurate, prepared.draw(seed), size))

    def _pretrain(self, seed: int, effort: float) -> StageTask:
        most = max(self.terms.sizes)
        parts = accurate_parts(self.prepared.accurate, self.prepared.draw(seed), most)
        parts.append(Part(self.prepared.cheap, self.cheap[seed]))
        return self.prepared.course(seed, effort).pretrain(self.prepared.store(parts), "low")

    def _standard(self, seed: int, effort: float, size: int) -> StageTask:
        return self.prepared.course(seed, effort).standard(self._accurate(seed, size), f"{size}")

    def _finetune(self, seed: int, effort: float, size: int) -> StageTask:
        course = self.prepared.course(seed, effort)
        start = course.stages / f"{course.prefix}low-pretrain"
        return course.finetune(self._accurate(seed, size), f"{size}", start)
