"""The trainings behind the ASTEROID rows, as chains of stage tasks by row and case.

first(4/5) ─── for each c: pre-training ─ fine-tuning      ASTEROID, where c is searched
           └── at the best c: pre-training ─ fine-tuning   ASTEROID, all other seeds and ratios
standard(all)
pre-training ─ fine-tuning                                 without weights, and a committee's others
score matching ─ standard(4/5) from its weights
standard(accurate − cheap)                                 Δ-learning
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from forgefield.platform.benchmarking.asteroid.choice_of_c import (
    Found,
    Key,
    best_c,
    is_searched,
    searched,
)
from forgefield.platform.benchmarking.asteroid.terms import WEIGHTED, Bench, Case
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.stage_plans import Course
from forgefield.platform.benchmarking.stores import (
    Part,
    accurate_parts,
    difference_file,
)
from forgefield.storage.errors import InputError
from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageTask

FIRST = "first"
"""Stage 1 of ASTEROID, beside the rows."""
Chains = dict[Key, Chain]


def trainings(bench: Bench) -> Chains:
    """All that wait for no choice, the search of c among them, each after what it goes on from."""
    chains: Chains = {}
    for case in bench.cases() if bench.wants(*WEIGHTED) else []:
        chains[FIRST, case] = (_first(bench, case),)
    for case in bench.cases_of(Kind.UNWEIGHTED):
        if bench.wants(Kind.UNWEIGHTED, Kind.COMMITTEE):
            chains[Kind.UNWEIGHTED, case] = _unweighted(bench, case)
        for other in case.others(bench.terms.members) if bench.wants(Kind.COMMITTEE) else []:
            chains[Kind.COMMITTEE, other] = _unweighted(bench, other)
        if bench.wants(Kind.SCORES):
            chains[Kind.SCORES, case] = _scores(bench, case)
    for case in bench.cases_of(Kind.DELTA) if bench.wants(Kind.DELTA) else []:
        store = _differences(bench, case)
        chains[Kind.DELTA, case] = (_course(bench, case).standard(store, _name(case, "delta")),)
    for case in bench.cases() if bench.wants(Kind.STANDARD) else []:
        store = _accurate(bench, case, bench.terms.budget)
        chains[Kind.STANDARD, case] = (_course(bench, case).standard(store, "all"),)
    for first in filter(partial(is_searched, bench), _weighted_cases(bench)):
        for case in [replace(first, c=c) for c in bench.terms.c_grid]:
            chains[Kind.FULL, case] = _weighted(bench, case)
    return chains


def followers(bench: Bench, found: Found) -> Chains:
    """ASTEROID on all other seeds and cost ratios, at the best c of those of `trainings`."""
    others = [case for case in _weighted_cases(bench) if not is_searched(bench, case)]
    chosen = [replace(case, c=best_c(bench, found, searched(bench, case))) for case in others]
    return {(Kind.FULL, case): _weighted(bench, case) for case in chosen}


def expected(bench: Bench) -> tuple[Chains, Chains]:
    """Both, as far as can be known beforehand; how long they are is no matter of c."""
    first = trainings(bench)
    searches = {key: chain for key, chain in first.items() if key[0] == Kind.FULL}
    endings = {key: results for key, c in searches.items() if (results := finished_chain(c))}
    return first, followers(bench, endings)


def _weighted_cases(bench: Bench) -> list[Case]:
    return bench.cases_of(Kind.FULL) if bench.wants(*WEIGHTED) else []


def _weighted(bench: Bench, case: Case) -> Chain:
    """Pre-training weighted by what stage 1 leaves at the case's c, then fine-tuning."""
    name, teacher = _name(case, f"c{case.c:g}"), _first(bench, case).output
    task = _course(bench, case).pretrain(_ladder(bench, case), name, teacher=teacher, c=case.c)
    return _tuned(bench, case, task)


def _first(bench: Bench, case: Case) -> StageTask:
    return _course(bench, case).standard(_accurate(bench, case, bench.terms.fewer), FIRST)


def _name(case: Case, what: str) -> str:
    return f"ratio{case.ratio:g}-{what}"


def _course(bench: Bench, case: Case) -> Course:
    return bench.prepared.course(case.seed, case.effort, case.member)


def _unweighted(bench: Bench, case: Case) -> Chain:
    task = _course(bench, case).pretrain(_ladder(bench, case), _name(case, "unweighted"))
    return _tuned(bench, case, task)


def _scores(bench: Bench, case: Case) -> Chain:
    temperature = bench.terms.temperature
    if temperature is None:
        raise InputError("score matching needs the temperature of the cheap frames")
    course, accurate = _course(bench, case), _accurate(bench, case, bench.terms.fewer)
    task = course.scores(_ladder(bench, case), _name(case, "scores"), temperature)
    return course.then_train(task, accurate)


def _tuned(bench: Bench, case: Case, task: StageTask) -> Chain:
    return _course(bench, case).then_finetune(task, _accurate(bench, case, bench.terms.fewer))


def _accurate(bench: Bench, case: Case, train: int) -> Path:
    parts = accurate_parts(bench.prepared.accurate, bench.prepared.draw(case.seed), train)
    return bench.prepared.store(parts)


def _ladder(bench: Bench, case: Case) -> Path:
    parts = accurate_parts(
        bench.prepared.accurate, bench.prepared.draw(case.seed), bench.terms.fewer
    )
    return bench.prepared.store([*parts, Part(bench.prepared.cheap, bench.cheap(case))])


def _differences(bench: Bench, case: Case) -> Path:
    if bench.paired is None:
        raise InputError("Δ-learning needs paired labels")
    file = difference_file(bench.prepared.accurate, bench.paired)
    train = bench.terms.paired(case.ratio or 0.0)
    return bench.prepared.store(accurate_parts(file, bench.prepared.draw(case.seed), train))
