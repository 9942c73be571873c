"""The ASTEROID tables on anybody's files, wired on one page (arXiv 2306.03109, Tables 3 and 4).

At the cost of `budget` accurate labels a row trains either on that many, or on four fifths of
them and on the cheap labels that the last fifth buys at 20, 40 or 80 to one; validation frames
are beside the budget, as in the paper. Δ-learning pays a cheap label for each accurate one.

Called again after a kill it finds finished stages and scores, and goes on with the rest.
"""

from dataclasses import replace

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.chains import expected, followers
from forgefield.platform.benchmarking.asteroid.choice_of_c import Found
from forgefield.platform.benchmarking.asteroid.rows import analytic, measured
from forgefield.platform.benchmarking.asteroid.terms import (
    ON_CHEAP,
    WEIGHTED,
    Bench,
    Case,
    Terms,
    bench_of,
)
from forgefield.platform.benchmarking.describing import draw_notes, length_note
from forgefield.platform.benchmarking.draws import each, index_hash
from forgefield.platform.benchmarking.folders import own_folder
from forgefield.platform.benchmarking.hours import settled
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.preparing import Prepared, prepare
from forgefield.platform.benchmarking.results import LeftOut, Results, Row, origin
from forgefield.platform.benchmarking.running import Training
from forgefield.platform.benchmarking.waves import Waves
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.elements import formula
from forgefield.storage.errors import InputError

KIND = "asteroid"


def benchmark_asteroid(asked: Asked, terms: Terms, reporter: Reporter) -> Results:
    """Train and measure what isn't there yet; raises `InputError` before anything is computed."""
    bench = bench_of(prepare(asked, terms.budget, reporter), terms)
    with own_folder(bench.prepared, KIND, terms.budget):
        bench = _in_time(bench, reporter)
        found = _trained(bench, reporter)
        reporter.say("Measuring on the test frames …")
        for draw in bench.prepared.draws:
            bench.prepared.judge(draw).save_labels(draw.seed)
        rows, lost = measured(bench, found)
        more, lacking = _analytic(bench, reporter)
        return _results(bench, rows + more, [*bench.left_out, *lost, *lacking])


def _in_time(bench: Bench, reporter: Reporter) -> Bench:
    """At the effort that ends in the hours that were asked for."""

    def waves_of(prepared: Prepared) -> Waves:
        return expected(replace(bench, prepared=prepared))

    return replace(bench, prepared=settled(bench.prepared, waves_of, reporter))


def _trained(bench: Bench, reporter: Reporter) -> Found:
    """All chains; those that follow the search of c come after it."""
    waves = expected(bench)
    training = Training.expecting(waves, bench.prepared, reporter)
    found = training.run(waves[0])
    return found | training.run(followers(bench, found))


def _analytic(bench: Bench, reporter: Reporter) -> tuple[list[Row], list[LeftOut]]:
    """SGDML's rows, or why there are none: its matrix may not fit into the memory."""
    if not bench.wants(Kind.SGDML):
        return [], []
    reporter.say("Solving sGDML …")
    try:
        return [analytic(bench, draw) for draw in bench.prepared.draws], []
    except InputError as error:
        return [], [LeftOut(row=Kind.SGDML, reason=str(error))]


def _results(bench: Bench, rows: list[Row], left_out: list[LeftOut]) -> Results:
    prepared, asked = bench.prepared, bench.prepared.asked
    cheap = {str(seed): _cheap(bench, seed) for seed in range(asked.seeds)}
    pool = min(len(pool) for pool in bench.pools.values())
    return Results(
        kind=KIND,
        molecule=formula(prepared.accurate.numbers),
        name=prepared.paper_name(),
        model=prepared.preset.model.kind,
        budget=bench.terms.budget,
        origin=origin(prepared.device, prepared.parallel),
        files=prepared.facts(),
        preset=prepared.preset,
        draws={str(draw.seed): draw for draw in prepared.draws},
        cheap=cheap,
        cheap_hash={seed: index_hash(places) for seed, places in cheap.items()},
        temperature=bench.terms.temperature if bench.wants(Kind.SCORES) else None,
        no_force=prepared.no_force(),
        shared=len(prepared.cheap) - pool,
        notes=notes(bench),
        rows=tuple(rows),
        left_out=tuple(left_out),
    )


def _cheap(bench: Bench, seed: int) -> tuple[int, ...]:
    if not bench.wants(*ON_CHEAP):
        return ()
    return bench.cheap(Case(seed, 1.0, max(bench.ratios)))


def notes(bench: Bench) -> tuple[str, ...]:
    """What a reader of the table has to know of the draw."""
    prepared, preset = bench.prepared, bench.prepared.preset
    left = each(len(prepared.cheap) - len(pool) for pool in bench.pools.values())
    found = list(draw_notes(prepared.draws))
    if bench.wants(Kind.STANDARD, Kind.DELTA, *ON_CHEAP):
        found.append(length_note(prepared.preset))
    if bench.wants(*ON_CHEAP):
        found.append(
            f"{left} cheap frames have a geometry of an accurate frame and are not trained on."
        )
    if bench.wants(Kind.SCORES):
        found.append(
            "Score matching takes the cheap frames' geometries without their labels, for samples "
            f"at {bench.terms.temperature:g} K; of all its steps validation frames choose the "
            "best. What follows has the length and rate of standard training: together "
            f"{preset.pretrain.steps + preset.standard.steps:,} steps at effort 1."
        )
    if bench.wants(Kind.COMMITTEE):
        found.append(
            f"The committee is the mean of {bench.terms.members} networks without weights, trained "
            "on the same labels with other weights and batches; its time is the sum of theirs."
        )
    if bench.wants(*WEIGHTED) and len(bench.terms.c_grid) > 1:
        found.append(
            "c was searched once for each draw and effort, on the first seed and the most cheap "
            "frames. The others take the best, or the middle of the grid where all diverged. Times "
            "are of the stages behind a force field alone."
        )
    return tuple(found)
