"""The search of c in γ = c·median(B), and what it chooses.

c is searched once for each draw of accurate frames and effort: on the first seed and the most cheap
frames. Other seeds and cost ratios of the draw take the best by validation, so that a table's time
goes into longer trainings. c is a number without unit, of the order of 1 for any molecule; that the
same c is best for another seed or fewer cheap frames isn't shown.
"""

from collections.abc import Mapping
from dataclasses import replace

from forgefield.platform.benchmarking.asteroid.terms import Bench, Case
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.stages.endings import Ending

Key = tuple[str, Case]
Found = Mapping[Key, Ending]


def searched(bench: Bench, case: Case) -> Case:
    """The case, without its c, whose search chooses the c of this one."""
    first = bench.prepared.draw(case.seed).seed
    return replace(case, seed=first, ratio=max(bench.ratios), c=None)


def is_searched(bench: Bench, case: Case) -> bool:
    """Whether c is searched on this very case, or there is none to search."""
    return len(bench.terms.c_grid) == 1 or replace(case, c=None) == searched(bench, case)


def errors_by_c(bench: Bench, found: Found, case: Case) -> dict[float, float | None]:
    """Validation errors, eV/Å, at each c that was trained for a case; null where it diverged."""
    keys = {c: (Kind.FULL, replace(case, c=c)) for c in bench.terms.c_grid}
    endings = {c: found[key] for c, key in keys.items() if key in found}
    return {
        c: None if isinstance(ending, TrainingDiverged) else ending[-1].validation
        for c, ending in endings.items()
    }


def best_c(bench: Bench, found: Found, case: Case) -> float:
    """The c of the smallest validation error among those trained for a case.

    Where all diverged, or nothing is known, it is the middle one of them, or of the grid.
    """
    errors = errors_by_c(bench, found, case)
    known = {c: error for c, error in errors.items() if error is not None}
    if known:
        return min(known, key=lambda c: known[c])
    cs = sorted(errors or bench.terms.c_grid)
    return cs[len(cs) // 2]
