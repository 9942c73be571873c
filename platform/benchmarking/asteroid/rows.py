"""The ASTEROID rows from finished stages: the choice of c, the errors, the time each took.

Units: kcal/mol/Å for people; stages count in eV/Å.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from forgefield.platform.benchmarking.asteroid.chains import FIRST
from forgefield.platform.benchmarking.asteroid.choice_of_c import Found, best_c, errors_by_c
from forgefield.platform.benchmarking.asteroid.committees import saved_committee
from forgefield.platform.benchmarking.asteroid.terms import Bench, Case
from forgefield.platform.benchmarking.draws import Draw, index_hash
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.results import LeftOut, Row, history, places_of
from forgefield.platform.benchmarking.running import stages_of
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.baselines import sgdml
from forgefield.trainers.stages.tasks import StageResult


def measured(bench: Bench, found: Found) -> tuple[list[Row], list[LeftOut]]:
    """All trained rows in the table's order, and those that diverged."""
    rows, left_out = [], []
    wanted = filter(bench.wants, _MAKERS)
    for kind, case in [(row, case) for row in wanted for case in bench.cases_of(row)]:
        judge = bench.prepared.judge(bench.prepared.draw(case.seed))
        try:
            rows.append(_MAKERS[kind](bench, found, case, judge))
        except TrainingDiverged as error:
            left_out.append(_diverged(kind, case, error))
    return rows, left_out


def _diverged(kind: Kind, case: Case, error: TrainingDiverged) -> LeftOut:
    return LeftOut(
        row=kind, reason=str(error), seed=case.seed, effort=case.effort, ratio=case.ratio
    )


def _standard(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    (stage,) = stages_of(found, (Kind.STANDARD, case))
    return _row(Kind.STANDARD, case, [stage], judge, accurate=bench.terms.budget)


def _tuned(bench: Bench, found: Found, case: Case, judge: Judge, kind: Kind) -> Row:
    stages = stages_of(found, (kind, case))
    cheap = bench.terms.cheap(case.ratio or 0.0)
    return _row(kind, case, stages, judge, accurate=bench.terms.fewer, cheap=cheap)


def _committee(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    """Predictions of all members averaged; the first is the row without weights."""
    others = case.others(bench.terms.members)
    keys = [(Kind.UNWEIGHTED, case), *((Kind.COMMITTEE, other) for other in others)]
    chains = [stages_of(found, key) for key in keys]
    tuned = [chain[-1] for chain in chains]
    seconds = sum(stage.wall_s for chain in chains for stage in chain)
    draw = bench.prepared.draw(case.seed)
    force_field, validation = saved_committee(bench.prepared, draw, tuned)
    return Row(
        row=Kind.COMMITTEE,
        seed=case.seed,
        effort=case.effort,
        ratio=case.ratio,
        accurate=bench.terms.fewer,
        cheap=bench.terms.cheap(case.ratio or 0.0),
        members=len(chains),
        score=judge.committee(tuned),
        validation=validation,
        seconds=seconds,
        search_seconds=seconds,
        force_field=force_field,
        made=places_of(stage for chain in chains for stage in chain),
    )


def _weighted(bench: Bench, found: Found, case: Case, judge: Judge, kind: Kind) -> Row:
    """ASTEROID with the c that validation chose, or the same before its fine-tuning."""
    stages, search = _chosen(bench, found, case)
    if kind == Kind.UNTUNED:
        stages = stages[:-1]
    cheap = bench.terms.cheap(case.ratio or 0.0)
    return search.noted_in(_row(kind, case, stages, judge, accurate=bench.terms.fewer, cheap=cheap))


@dataclass(frozen=True, slots=True)
class _Search:
    """The c that a row took, what it makes of the bias, and validation errors of all it tried.

    Units: kcal/mol/Å, seconds. A c that diverged has no error, and its seconds aren't known.
    """

    c: float
    gamma: float | None
    median_bias: float | None
    tried: Mapping[str, float | None]
    seconds: float

    def noted_in(self, row: Row) -> Row:
        """The row with all of it."""
        return row.model_copy(
            update={
                "c": self.c,
                "gamma": self.gamma,
                "median_bias": self.median_bias,
                "tried": dict(self.tried),
                "search_seconds": self.seconds,
            }
        )


def _chosen(bench: Bench, found: Found, case: Case) -> tuple[tuple[StageResult, ...], _Search]:
    """The three stages of the best c, or the only one tried."""
    errors = errors_by_c(bench, found, case)
    c = best_c(bench, found, case)
    (first,) = stages_of(found, (FIRST, Case(case.seed, case.effort)))
    pretrained, tuned = stages_of(found, (Kind.FULL, replace(case, c=c)))
    chains = [
        stages_of(found, (Kind.FULL, replace(case, c=each)))
        for each, error in errors.items()
        if error is not None
    ]
    search = _Search(
        c=c,
        gamma=_in_kcal(pretrained.phases[0].gamma),
        median_bias=_in_kcal(pretrained.phases[0].median_bias),
        tried={f"{each:g}": _in_kcal(error) for each, error in errors.items()},
        seconds=first.wall_s + sum(stage.wall_s for chain in chains for stage in chain),
    )
    return (first, pretrained, tuned), search


def _delta(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    (stage,) = stages_of(found, (Kind.DELTA, case))
    count = bench.terms.paired(case.ratio or 0.0)
    add = None
    if bench.test_paired is not None:
        test = np.array(bench.prepared.draw(case.seed).test)
        pairs = bench.test_paired
        add = pairs.energy_N[test], pairs.forces_NA3[test].reshape(-1, 3)
    return _row(Kind.DELTA, case, [stage], judge, add=add, accurate=count, cheap=count)


def _row(
    kind: Kind,
    case: Case,
    stages: Sequence[StageResult],
    judge: Judge,
    *,
    accurate: int,
    cheap: int = 0,
    add: tuple[Array, Array] | None = None,
) -> Row:
    last, seconds = stages[-1], sum(stage.wall_s for stage in stages)
    return Row(
        row=kind.value,
        seed=case.seed,
        effort=case.effort,
        ratio=case.ratio,
        accurate=accurate,
        cheap=cheap,
        score=judge.stage(last, add=add),
        validation=_in_kcal(last.validation),
        seconds=seconds,
        search_seconds=seconds,
        force_field=last.output,
        made=places_of(stages),
        history=history(stages),
    )


_MAKERS: Mapping[Kind, Callable[[Bench, Found, Case, Judge], Row]] = {
    Kind.STANDARD: _standard,
    Kind.UNTUNED: partial(_weighted, kind=Kind.UNTUNED),
    Kind.UNWEIGHTED: partial(_tuned, kind=Kind.UNWEIGHTED),
    Kind.COMMITTEE: _committee,
    Kind.FULL: partial(_weighted, kind=Kind.FULL),
    Kind.SCORES: partial(_tuned, kind=Kind.SCORES),
    Kind.DELTA: _delta,
}
"""Who makes a row of a trained kind."""


def analytic(bench: Bench, draw: Draw) -> Row:
    """The row of sGDML on the whole budget of accurate labels; its only seed is the draw's.

    Raises `InputError` where the memory is too small for its matrix.
    """
    file, train = bench.prepared.accurate, draw.train[: bench.terms.budget]
    judge = bench.prepared.judge(draw)
    name = f"sgdml-draw{draw.seed}"
    key = f"sgdml {file.sha256} {file.unit} {index_hash(train, draw.validation)}"
    kept = judge.kept(name, key)
    if kept is None:
        started = time.monotonic()
        model = sgdml.fit(file.frames(train), file.frames(draw.validation))
        seconds = time.monotonic() - started
        kept = judge.keep(name, key, model.predict(judge.test), seconds), seconds
    score, seconds = kept
    return Row(
        row=Kind.SGDML,
        seed=draw.seed,
        accurate=len(train),
        score=score,
        seconds=seconds,
        search_seconds=seconds,
    )


def _in_kcal(value: float | None) -> float | None:
    return None if value is None else value * KCAL_PER_MOL_PER_EV
