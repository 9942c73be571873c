"""What both benchmarks ask for, read and checked before anything is computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forgefield.platform.benchmarking.asked import Asked, preset_for
from forgefield.platform.benchmarking.devices import device_of, parallel_of
from forgefield.platform.benchmarking.draws import (
    Draw,
    cheap_pool,
    draw_frames,
    index_hash,
    with_test_file,
)
from forgefield.platform.benchmarking.paper import name_of
from forgefield.platform.benchmarking.results import FileFacts, facts_of
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.platform.benchmarking.stage_plans import ACCURATE, CHEAP, MOST_SEEDS, STAGES, Course
from forgefield.platform.benchmarking.stores import Part, make_store
from forgefield.platform.foreign_labels.bonds import bonds_of, refuse_isomers
from forgefield.platform.foreign_labels.files import (
    LabelledFile,
    read_labelled,
    refuse_missing,
    refuse_unlike_forces,
)
from forgefield.platform.foreign_labels.matching import (
    Pairs,
    refuse_opposed_forces,
    repeats_in,
    shared_by,
)
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.errors import InputError
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.presets import Preset

FEW_CHEAP = 3
"""Times as many accurate frames as cheap ones let one ask whether the files are swapped."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Files, draws by seed and the model: all that was asked for, found and believed.

    `shared` are the pairs (accurate, cheap) of one geometry, `test_shared` (test file, cheap).
    """

    asked: Asked
    accurate: LabelledFile
    cheap: LabelledFile
    test: LabelledFile | None
    shared: Pairs
    test_shared: Pairs
    draws: tuple[Draw, ...]
    preset: Preset
    device: str
    parallel: int

    @property
    def test_file(self) -> LabelledFile:
        """Where the test frames are."""
        return self.accurate if self.test is None else self.test

    def draw(self, seed: int) -> Draw:
        """The accurate frames of a seed."""
        return self.draws[seed if self.asked.redraw else 0]

    def judge(self, draw: Draw) -> Judge:
        """Who measures on the test frames of a draw."""
        file = self.test_file
        judged, drawn = index_hash(draw.test), index_hash(draw.train)
        name = f"{file.sha256[:16]} {file.unit} {judged} near {drawn}"
        test, near = file.frames(draw.test), self.accurate.frames(draw.train)
        return Judge(self.asked.out / "predictions", test, name, self.device, near)

    def course(self, seed: int, effort: float, member: int = 0) -> Course:
        """The trainings of a seed at an effort, or of a member of its committee."""
        return Course.of(self.asked.out / STAGES, self.preset, seed, effort, member)

    def store(self, parts: Sequence[Part]) -> Path:
        """The store of these frames."""
        return make_store(self.asked.out / "frames", parts)

    def facts(self) -> dict[str, FileFacts]:
        """What is noted of the files, by their roles."""
        files = {"accurate": self.accurate, "cheap": self.cheap, "test": self.test}
        return {role: facts_of(file) for role, file in files.items() if file is not None}

    def paper_name(self) -> str:
        """The molecule's name in the paper, or nothing."""
        return name_of(bonds_of(self.accurate).pattern)

    def no_force(self) -> float:
        """Force MAE, kcal/mol/Å, of predicting none: the mean component of all test frames."""
        test = sorted({frame for draw in self.draws for frame in draw.test})
        return float(np.abs(self.test_file.forces_NA3[test]).mean()) * KCAL_PER_MOL_PER_EV

    def pool(self, draw: Draw, *, paired: bool = False) -> tuple[int, ...]:
        """Cheap frames that pre-training may take beside the frames of a draw.

        With `paired` those with a training frame's geometry too; never a judging frame's.
        """
        used = set(draw.used) - set(draw.train if paired else ())
        pool = cheap_pool(len(self.cheap), self.shared, used)
        if self.test is None:
            return pool
        judged = set(draw.test) | set(draw.dropped_test)
        seen = cheap_pool(len(self.cheap), self.test_shared, judged)
        return tuple(sorted(set(pool) & set(seen)))


def prepare(asked: Asked, train: int, reporter: Reporter) -> Prepared:
    """Read and draw; `train` accurate frames are the most that any row trains on.

    Raises `InputError` for whatever can't be done, before anything is computed. Ray's workers have
    working folders of their own, so the place for everything is absolute from here on.
    """
    asked = replace(asked, out=asked.out.absolute())
    preset, device = preset_for(asked), device_of(asked.device)
    parallel = parallel_of(asked.parallel, device)
    _check_counts(asked, parallel)
    for file in (asked.accurate, asked.cheap, *([] if asked.test is None else [asked.test])):
        refuse_missing(file)
    doubts = "" if asked.trust else ", checking units and signs"
    reporter.say(f"Reading {asked.accurate} and {asked.cheap}{doubts} …")
    trust, cheap_unit = asked.trust, asked.cheap_unit or asked.unit
    accurate = read_labelled(asked.accurate, ACCURATE, asked.unit, trust=trust)
    cheap = read_labelled(
        asked.cheap, CHEAP, cheap_unit, unit_option=asked.cheap_unit_option, trust=trust
    )
    _refuse_the_same(accurate, cheap)
    _ask_if_swapped(accurate, cheap, reporter)
    test = None
    if asked.test is not None:
        test = read_labelled(asked.test, ACCURATE, asked.unit, trust=trust)
    reporter.say("Looking for geometries that the files share …")
    shared = shared_by(accurate, cheap)
    test_shared = shared[:0] if test is None else shared_by(test, cheap)
    if not asked.trust:
        for other in [cheap, *([] if test is None else [test])]:
            refuse_isomers(accurate, other)
            refuse_unlike_forces(accurate, other)
        refuse_opposed_forces(accurate, cheap, shared)
        if test is not None:
            refuse_opposed_forces(test, cheap, test_shared)
    return Prepared(
        asked=asked,
        accurate=accurate,
        cheap=cheap,
        test=test,
        shared=shared,
        test_shared=test_shared,
        draws=_draws(asked, accurate, test, train),
        preset=preset,
        device=device,
        parallel=parallel,
    )


def _refuse_the_same(accurate: LabelledFile, cheap: LabelledFile) -> None:
    if accurate.sha256 == cheap.sha256:
        raise InputError(
            f"{accurate.path} and {cheap.path} are the same file: its labels can't be accurate and "
            "cheap. Name a file of cheaper labels."
        )


def _ask_if_swapped(accurate: LabelledFile, cheap: LabelledFile, reporter: Reporter) -> None:
    if len(accurate) > FEW_CHEAP * len(cheap):
        reporter.say(
            f"{accurate.path.name} has {len(accurate):,} frames, {cheap.path.name} {len(cheap):,}. "
            "Accurate labels are mostly the fewer: are the two files swapped?"
        )


def _check_counts(asked: Asked, parallel: int) -> None:
    if not 1 <= asked.seeds <= MOST_SEEDS:
        raise InputError(f"{asked.seeds} seeds were asked for; 1 to {MOST_SEEDS} can be had.")
    if parallel < 1:
        raise InputError(f"{parallel} stages at a time were asked for; 1 is the least.")
    if not asked.efforts or not all(0 < effort < math.inf for effort in asked.efforts):
        raise InputError(f"Efforts {list(asked.efforts)}: all must be above 0, at least one.")
    if asked.hours is not None and not 0 < asked.hours < math.inf:
        raise InputError(f"{asked.hours} hours of training; say some above 0, as --hours 6.")


def _draws(
    asked: Asked, accurate: LabelledFile, test: LabelledFile | None, train: int
) -> tuple[Draw, ...]:
    repeats, own = repeats_in(accurate), None if test is None else shared_by(accurate, test)
    found = []
    for seed in range(asked.seeds if asked.redraw else 1):
        draw = draw_frames(
            len(accurate),
            repeats,
            train=train,
            seed=seed,
            validation=asked.validation,
            test=asked.test_frames if test is None else 0,
        )
        if test is not None and own is not None:
            draw = with_test_file(draw, len(test), own, asked.test_frames)
        found.append(draw)
    return tuple(found)
