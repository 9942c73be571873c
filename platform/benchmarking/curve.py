"""Learning curves: fine-tuned against standard training on nested sets of accurate frames.

One pre-training a seed on all cheap frames but those with the geometry of a test or validation
frame; the training frames' own geometries may be among them (paired files). Then for each size the
same accurate frames by both ways. Test frames are the first after the training frames of the
shuffle (`draws`), and no training sees them at any level.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from forgefield.platform.benchmarking.draws import Draw, Index, cheap_draw, index_hash
from forgefield.platform.benchmarking.preparing import (
    Asked,
    Prepared,
    draw_notes,
    formula,
    prepare,
)
from forgefield.platform.benchmarking.results import Results, Row, facts_of, history, origin
from forgefield.platform.benchmarking.running import STAGES, stage_runner
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.platform.benchmarking.stage_plans import Course
from forgefield.platform.benchmarking.stores import Part, accurate_parts, make_store
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.errors import InputError
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.presets import with_effort
from forgefield.trainers.stages.asteroid_settings import Chain, Runner
from forgefield.trainers.stages.tasks import StageResult, StageTask

KIND = "curve"
STANDARD, TUNED = "standard", "fine-tuned"
Place = tuple[str, int, float, int]
"""Row, seed, effort, size."""


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
    curve = _Curve(prepared, terms)
    with stage_runner(asked.out, prepared.parallel, prepared.device, reporter) as runner:
        found = curve.train(runner)
    reporter.say("Measuring on the test frames …")
    curve.judges[prepared.draws[0].seed].save_labels()
    return curve.results([curve.row(place, chain) for place, chain in found.items()])


class _Curve:
    def __init__(self, prepared: Prepared, terms: CurveTerms) -> None:
        self.prepared, self.terms, self.out = prepared, terms, prepared.asked.out
        pools = {draw.seed: prepared.pool(draw, paired=True) for draw in prepared.draws}
        self.cheap: dict[int, Index] = {
            seed: cheap_draw(pool, len(pool) if terms.low is None else terms.low, seed)
            for seed in range(prepared.asked.seeds)
            for pool in [pools[self.draw(seed).seed]]
        }
        if not min(map(len, self.cheap.values())):
            raise InputError("Every cheap frame has the geometry of a test or validation frame.")
        self.judges = {draw.seed: self._judge(draw) for draw in prepared.draws}

    def draw(self, seed: int) -> Draw:
        return self.prepared.draws[seed if self.prepared.asked.redraw else 0]

    def train(self, runner: Runner) -> dict[Place, tuple[StageResult, ...]]:
        """Pre-training and standard training side by side, then fine-tuning of each size."""
        asked = self.prepared.asked
        courses = list(product(range(asked.seeds), asked.efforts))
        first = {course: self._pretrain(*course) for course in courses}
        places = [(*course, size) for course in courses for size in self.terms.sizes]
        standard: dict[Place, Chain] = {
            (STANDARD, *place): (self._standard(*place),) for place in places
        }
        results = runner([*((task,) for task in first.values()), *standard.values()])
        pretrained = {c: stages[0] for c, stages in zip(first, results, strict=False)}
        found = dict(zip(standard, results[len(first) :], strict=True))
        tuned = runner([(self._finetune(*place),) for place in places])
        for (seed, effort, size), (stage,) in zip(places, tuned, strict=True):
            found[TUNED, seed, effort, size] = (pretrained[seed, effort], stage)
        return found

    def row(self, place: Place, stages: tuple[StageResult, ...]) -> Row:
        """The row of one point of a curve."""
        row, seed, effort, size = place
        seconds, last = sum(stage.wall_s for stage in stages), stages[-1]
        known = last.validation
        return Row(
            row=row,
            seed=seed,
            effort=effort,
            accurate=size,
            cheap=len(self.cheap[seed]) if row == TUNED else 0,
            score=self.judges[self.draw(seed).seed].stage(last),
            validation=None if known is None else known * KCAL_PER_MOL_PER_EV,
            seconds=seconds,
            search_seconds=seconds,
            force_field=last.output,
            history=history(stages),
        )

    def results(self, rows: list[Row]) -> Results:
        """Everything that the folder's `results.json` holds."""
        prepared, draw = self.prepared, self.prepared.draws[0]
        files = {"accurate": facts_of(prepared.accurate), "cheap": facts_of(prepared.cheap)}
        if prepared.test is not None:
            files["test"] = facts_of(prepared.test)
        left = len(prepared.cheap) - len(prepared.pool(draw, paired=True))
        trained = (
            f"Pre-trained on {len(self.cheap[0])} cheap frames; {left} have a geometry of a test "
            "or validation frame and are not trained on."
        )
        return Results(
            kind=KIND,
            molecule=formula(prepared.accurate.numbers),
            model=prepared.preset.model.kind,
            origin=origin(prepared.device, prepared.parallel),
            files=files,
            preset=prepared.preset,
            draws={str(each.seed): each for each in prepared.draws},
            cheap={str(seed): places for seed, places in self.cheap.items()},
            cheap_hash={str(seed): index_hash(places) for seed, places in self.cheap.items()},
            shared=left,
            notes=(*draw_notes(draw), trained),
            rows=tuple(rows),
        )

    def _judge(self, draw: Draw) -> Judge:
        file = self.prepared.test_file
        name = f"{file.sha256[:16]} {file.unit} {index_hash(draw.test)}"
        return Judge(self.out / "predictions", file.frames(draw.test), name, self.prepared.device)

    def _course(self, seed: int, effort: float) -> Course:
        prefix = f"seed{seed}-" + ("" if effort == 1 else f"effort{effort:g}-")
        return Course(self.out / STAGES, with_effort(self.prepared.preset, effort), seed, prefix)

    def _accurate(self, seed: int, size: int) -> Path:
        parts = accurate_parts(self.prepared.accurate, self.draw(seed), size)
        return make_store(self.out / "frames", parts)

    def _pretrain(self, seed: int, effort: float) -> StageTask:
        most = max(self.terms.sizes)
        parts = accurate_parts(self.prepared.accurate, self.draw(seed), most)
        parts.append(Part(self.prepared.cheap, self.cheap[seed]))
        store = make_store(self.out / "frames", parts)
        return self._course(seed, effort).pretrain(store, "low")

    def _standard(self, seed: int, effort: float, size: int) -> StageTask:
        return self._course(seed, effort).standard(self._accurate(seed, size), f"{size}")

    def _finetune(self, seed: int, effort: float, size: int) -> StageTask:
        course = self._course(seed, effort)
        start = course.stages / f"{course.prefix}low-pretrain"
        return course.finetune(self._accurate(seed, size), f"{size}", start)
