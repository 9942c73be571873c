"""The ASTEROID rows from finished stages: the choice of c, the errors, the time each took.

Units: kcal/mol/Å for people; stages count in eV/Å.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from forgefield.platform.benchmarking.asteroid_chains import FIRST, Found
from forgefield.platform.benchmarking.asteroid_terms import Bench, Case, Kind
from forgefield.platform.benchmarking.draws import Draw, index_hash
from forgefield.platform.benchmarking.results import Row, history
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.baselines import sgdml
from forgefield.trainers.stages.tasks import StageResult


def measured(bench: Bench, found: Found, case: Case) -> list[Row]:
    """All rows of one seed and effort that `found` has stages for."""
    judge = bench.prepared.judge(bench.prepared.draw(case.seed))
    rows = []
    if bench.wants(Kind.STANDARD):
        rows.append(_standard(bench, found, case, judge))
    for ratio in bench.terms.ratios:
        here = case.at(ratio)
        if bench.wants(Kind.UNTUNED, Kind.FULL):
            rows += _weighted(bench, found, here, judge)
        rows += [
            _tuned(bench, found, here, judge, kind)
            for kind in (Kind.UNWEIGHTED, Kind.SCORES)
            if bench.wants(kind)
        ]
        if bench.wants(Kind.COMMITTEE):
            rows.append(_committee(bench, found, here, judge))
        if bench.wants(Kind.DELTA):
            rows.append(_delta(bench, found, here, judge))
    return rows


def _standard(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    (stage,) = found[Kind.STANDARD, case]
    return _row(Kind.STANDARD, case, [stage], judge, accurate=bench.terms.budget)


def _tuned(bench: Bench, found: Found, case: Case, judge: Judge, kind: Kind) -> Row:
    stages = found[kind, case]
    cheap = bench.terms.cheap(case.ratio or 0.0)
    return _row(kind, case, stages, judge, accurate=bench.terms.fewer, cheap=cheap)


def _committee(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    """Predictions of all members averaged; the first is the row without weights."""
    others = [found[Kind.COMMITTEE, other] for other in case.others(bench.terms.members)]
    chains = [found[Kind.UNWEIGHTED, case], *others]
    seconds = sum(stage.wall_s for chain in chains for stage in chain)
    return Row(
        row=Kind.COMMITTEE,
        seed=case.seed,
        effort=case.effort,
        ratio=case.ratio,
        accurate=bench.terms.fewer,
        cheap=bench.terms.cheap(case.ratio or 0.0),
        members=len(chains),
        score=judge.committee([chain[-1] for chain in chains]),
        seconds=seconds,
        search_seconds=seconds,
    )


def _weighted(bench: Bench, found: Found, case: Case, judge: Judge) -> list[Row]:
    """ASTEROID with the c that validation chose, and the same before its fine-tuning."""
    tried = {c: found[Kind.FULL, case.at(case.ratio or 0.0, c)] for c in bench.terms.c_grid}
    c = min(tried, key=lambda each: _in_kcal(tried[each][-1].validation) or np.inf)
    (first,), (pretrained, tuned) = found[FIRST, Case(case.seed, case.effort)], tried[c]
    extra: dict[str, Any] = {
        "accurate": bench.terms.fewer,
        "cheap": bench.terms.cheap(case.ratio or 0.0),
        "c": c,
        "gamma": _in_kcal(pretrained.phases[0].gamma),
        "median_bias": _in_kcal(pretrained.phases[0].median_bias),
        "tried": {f"{each:g}": _in_kcal(tried[each][-1].validation) for each in tried},
    }
    searched = first.wall_s + sum(stage.wall_s for chain in tried.values() for stage in chain)
    made = []
    if bench.wants(Kind.UNTUNED):
        made.append(_row(Kind.UNTUNED, case, [first, pretrained], judge, searched, **extra))
    if bench.wants(Kind.FULL):
        made.append(_row(Kind.FULL, case, [first, pretrained, tuned], judge, searched, **extra))
    return made


def _delta(bench: Bench, found: Found, case: Case, judge: Judge) -> Row:
    (stage,) = found[Kind.DELTA, case]
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
    searched: float | None = None,
    *,
    add: tuple[Array, Array] | None = None,
    **facts: Any,  # noqa: ANN401
) -> Row:
    last, seconds = stages[-1], sum(stage.wall_s for stage in stages)
    return Row.model_validate(
        {
            "row": kind.value,
            "seed": case.seed,
            "effort": case.effort,
            "ratio": case.ratio,
            "score": judge.stage(last, add=add),
            "validation": _in_kcal(last.validation),
            "seconds": seconds,
            "search_seconds": seconds if searched is None else searched,
            "force_field": last.output,
            "history": history(stages),
            **facts,
        }
    )


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
