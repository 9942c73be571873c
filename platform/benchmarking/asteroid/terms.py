"""What the ASTEROID tables ask: rows, budget, cost ratios, and which rows can be had here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from forgefield.platform.benchmarking.asteroid.cheap_frames import with_cheap_frames
from forgefield.platform.benchmarking.draws import cheap_draw
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.results import LeftOut
from forgefield.platform.foreign_labels.matching import Paired, paired_labels
from forgefield.storage.errors import InputError

CHEAP_SHARE = 0.2


ON_CHEAP = (Kind.UNTUNED, Kind.UNWEIGHTED, Kind.COMMITTEE, Kind.FULL, Kind.SCORES)
WEIGHTED = (Kind.UNTUNED, Kind.FULL)
NO_TEMPERATURE = (
    "it takes the cheap frames for samples of one temperature, which nothing says; give it with "
    "--temperature where they are (500 for MD17)"
)
USUAL = tuple(kind for kind in Kind if kind != Kind.COMMITTEE)
"""Rows where none are named: those of the paper and what it compares with."""


def kinds_of(text: str | None) -> tuple[Kind, ...]:
    """Rows by their short names, in the table's order; the usual ones where nothing is said."""
    if text is None:
        return USUAL
    named = {part.strip().upper() for part in text.split(",")}
    unknown = sorted(named - {kind.name for kind in Kind})
    if unknown:
        known = ", ".join(kind.name.lower() for kind in Kind)
        raise InputError(f"{unknown[0].lower()!r} is no row. Choose from {known}.")
    return tuple(kind for kind in Kind if kind.name in named)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked beyond the files; `temperature` (K) sampled the cheap frames, null not known.

    A fifth of the `budget` of accurate labels buys cheap ones. `c_grid` is searched in
    γ = c·median(B), once for each draw and effort; on PBE frames of ethanol the least c has the
    effect of three quarters as many frames, the largest one weighs all alike. A committee has so
    many `members`, which share its labels.
    """

    budget: int = 250
    ratios: tuple[float, ...] = (20.0, 40.0, 80.0)
    c_grid: tuple[float, ...] = (0.125, 0.5, 2.0)
    temperature: float | None = None
    kinds: tuple[Kind, ...] = USUAL
    members: int = 3

    @property
    def fewer(self) -> int:
        """Accurate labels beside cheap ones."""
        return self.budget - round(CHEAP_SHARE * self.budget)

    def cheap(self, ratio: float) -> int:
        """Cheap labels at a cost ratio."""
        return round((self.budget - self.fewer) * ratio)

    def paired(self, ratio: float) -> int:
        """Accurate labels of Δ-learning, each bought with a cheap one."""
        return int(self.budget / (1 + 1 / ratio))


@dataclass(frozen=True, slots=True)
class Case:
    """One training of a row: its seed and effort, and its cost ratio and c where it has them.

    `member` counts the networks of a committee; 0 is the one that stands alone in its row.
    """

    seed: int
    effort: float
    ratio: float | None = None
    c: float | None = None
    member: int = 0

    def at(self, ratio: float, c: float | None = None) -> "Case":
        """The same seed and effort at a cost ratio and a c."""
        return replace(self, ratio=ratio, c=c)

    def others(self, members: int) -> "list[Case]":
        """The same for all members of a committee but the first."""
        return [replace(self, member=member) for member in range(1, members)]


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """All that is known before the first stage: `pools` and `paired` by the seed of the draw.

    `ratios` are the cost ratios that there are cheap frames for; `left_out` says what can't be had.
    """

    prepared: Prepared
    terms: Terms
    pools: dict[int, tuple[int, ...]]
    ratios: tuple[float, ...]
    left_out: tuple[LeftOut, ...] = ()
    paired: Paired | None = None
    test_paired: Paired | None = None

    def wants(self, *kinds: Kind) -> bool:
        """Whether any of these rows is asked for and can be had."""
        lacking = {left.row for left in self.left_out if left.ratio is None}
        lacking |= set() if self.ratios else set(ON_CHEAP)
        return any(kind in self.terms.kinds and kind not in lacking for kind in kinds)

    def cheap(self, case: Case) -> tuple[int, ...]:
        """The cheap frames of a case."""
        pool = self.pools[self.prepared.draw(case.seed).seed]
        return cheap_draw(pool, self.terms.cheap(case.ratio or 0.0), case.seed)

    def cases(self) -> list[Case]:
        """Every seed at every effort."""
        asked = self.prepared.asked
        return [Case(seed, effort) for effort, seed in product(asked.efforts, range(asked.seeds))]

    def cases_of(self, kind: Kind) -> list[Case]:
        """Every case at every cost ratio that a row can be had at, the largest first."""
        if kind == Kind.STANDARD:
            return self.cases()
        ratios = self.terms.ratios if kind == Kind.DELTA else self.ratios
        return [case.at(r) for r, case in product(sorted(ratios, reverse=True), self.cases())]


def bench_of(prepared: Prepared, terms: Terms) -> Bench:
    """Check what is asked for; raises `InputError` where nothing of it can be had."""
    _check(terms)
    lacking: list[LeftOut] = []
    ratios = terms.ratios
    if set(terms.kinds) & set(ON_CHEAP):
        prepared, most = with_cheap_frames(prepared, list(map(terms.cheap, ratios)))
        ratios = tuple(ratio for ratio in ratios if terms.cheap(ratio) <= most)
        lacking += _too_few(terms, most)
    if terms.temperature is None and Kind.SCORES in terms.kinds:
        lacking = [left for left in lacking if left.row != Kind.SCORES]
        lacking.append(LeftOut(row=Kind.SCORES, reason=NO_TEMPERATURE))
    paired, test_paired, unpaired = _pairs(prepared, terms)
    if unpaired and Kind.DELTA in terms.kinds:
        lacking.append(LeftOut(row=Kind.DELTA, reason=unpaired))
    pools = {draw.seed: prepared.pool(draw) for draw in prepared.draws}
    bench = Bench(prepared, terms, pools, ratios, tuple(lacking), paired, test_paired)
    if not bench.wants(*Kind):
        raise InputError(f"No row can be had: {'; '.join({each.reason: 0 for each in lacking})}.")
    return bench


def _check(terms: Terms) -> None:
    for words, values in (("Cost ratios", terms.ratios), ("Values of c", terms.c_grid)):
        if not values or not all(0 < value < math.inf for value in values):
            raise InputError(f"{words} {list(values)}: all must be above 0, at least one.")
    empty = [r for r in terms.ratios if not (terms.cheap(r) and terms.paired(r))]
    if empty:
        raise InputError(
            f"A cost ratio of {empty[0]:g} buys no cheap label at a budget of {terms.budget}; say "
            "a larger --cost-ratio or --budget-ccsd."
        )
    if terms.temperature is not None and not 0 < terms.temperature < math.inf:
        raise InputError(f"A temperature of {terms.temperature} K; say one above 0, as 500.")
    if terms.members < 2:
        raise InputError(f"A committee of {terms.members}: it needs 2 members or more.")
    if terms.fewer in {0, terms.budget}:
        raise InputError(f"A budget of {terms.budget} labels can't be split; 3 is the least.")


def _too_few(terms: Terms, most: int) -> list[LeftOut]:
    """The rows on cheap frames at the cost ratios that need more of them than `most`."""
    return [
        LeftOut(
            row=kind,
            ratio=ratio,
            reason=f"{terms.cheap(ratio)} cheap frames are needed; {most} are at hand whose "
            "geometry no accurate frame of training, validation and test has",
        )
        for ratio, kind in product(terms.ratios, ON_CHEAP)
        if kind in terms.kinds and terms.cheap(ratio) > most
    ]


def _pairs(prepared: Prepared, terms: Terms) -> tuple[Paired | None, Paired | None, str]:
    """Cheap labels on accurate and on test frames, or why there are too few."""
    accurate, cheap = prepared.accurate, prepared.cheap
    own = paired_labels(accurate, cheap, prepared.shared)
    test = own
    if prepared.test is not None:
        test = paired_labels(prepared.test, cheap, prepared.test_shared)
    most = max(map(terms.paired, terms.ratios))
    for draw in prepared.draws:
        needed: Sequence[int] = (*draw.train[:most], *draw.validation)
        there = int(own.there_N[np.array(needed)].sum())
        judged = int(test.there_N[np.array(draw.test)].sum())
        if (there, judged) != (len(needed), len(draw.test)):
            reason = (
                f"it needs cheap labels on the accurate frames: {there} of {len(needed)} training "
                f"and validation frames and {judged} of {len(draw.test)} test frames have one"
            )
            return None, None, reason
    return own, test, ""
