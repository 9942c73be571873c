"""The three arms: two fixed splits trained in this process, and a campaign as a user runs it.

The fixed arms take random frames in the order of the replay's own pool, so their validation frames,
test frames and middle-tier frames are those a campaign of the seed would draw.

Legend: `F` frames, `A` atoms.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compare_recipes import MIDDLES, RATIO, TARGETS, VALIDATION, Pair
from compare_records import Compared

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.platform.benchmarking.stores import Part, make_store
from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.recipe import Recipe, load_recipe
from forgefield.platform.pools.pool import Pool
from forgefield.platform.pools.replayed import file_of, judging_frames, replayed_pool
from forgefield.platform.replay_errors import errors_of_test_frames
from forgefield.platform.rounds.documents import ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Array, Purpose
from forgefield.trainers.stages.asteroid import plain_runner, train
from forgefield.trainers.stages.ladder import Ladder
from forgefield.trainers.stages.tasks import StageResult

CHILD = Path(__file__).with_name("compare_child.py")


@dataclass(frozen=True)
class Place:
    """A folder of one system and seed, and the recipe in it."""

    root: Path
    recipe_file: Path

    @cached_property
    def recipe(self) -> Recipe:
        """As a campaign reads it."""
        return load_recipe(self.recipe_file)


def prepare_in(root: Path, name: str, recipe: str) -> Place:
    """The folder with its recipe."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / f"{name}.toml"
    file.write_text(recipe, encoding="utf-8")
    return Place(root, file)


def fixed(place: Place, pair: Pair, blank: Compared) -> Compared:
    """The paper's split: pre-trained on the middle tier, tuned on the target's."""
    start, drawn = time.process_time(), draw_of(place, pair)
    store = drawn.store(TARGETS, MIDDLES)
    folder = place.root / "fixed"
    settings = place.recipe.training
    outcome = train(store, folder, settings, plain_runner(), cheap_tiers=[MIDDLE])
    labels = {"ccsd": TARGETS, "ccsd validation": VALIDATION, "dft": MIDDLES}
    return drawn.scored(outcome.best.finetune, blank, labels, start).model_copy(
        update={"scratch": drawn.error_of(outcome.baseline)}
    )


def target_only(place: Place, pair: Pair, blank: Compared) -> Compared:
    """All money on the target tier, from scratch."""
    start, drawn = time.process_time(), draw_of(place, pair)
    count = round(TARGETS + MIDDLES / RATIO)
    folder = place.root / "target"
    ladder = Ladder(drawn.store(count, 0), folder, place.recipe.training, (MIDDLE,))
    (((result,),)) = plain_runner()([(ladder.standard(1.0),)])
    return drawn.scored(result, blank, {"ccsd": count, "ccsd validation": VALIDATION}, start)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Files and pool of a seed."""

    root: Path
    target: LabelledFile
    middle: LabelledFile
    test: LabelledFile
    pool: Pool

    def store(self, targets: int, middles: int) -> Path:
        """Validation frames first, as in a campaign; then those to train on."""
        places = _places(self.target, self.pool.positions_FA3[: VALIDATION + targets])
        parts = [
            Part(self.target, places[VALIDATION:]),
            Part(self.target, places[:VALIDATION], Purpose.VALIDATION),
        ]
        if middles:
            parts.append(Part(self.middle, _places(self.middle, self.pool.apart[MIDDLE][:middles])))
        return make_store(self.root / "frames", parts)

    def error_of(self, result: StageResult) -> float:
        """Force MAE on the test frames."""
        frames = self.test.frames(range(len(self.test)))
        name = f"{self.target.sha256[:16]} {self.root.name}"
        return Judge(self.root / "predictions", frames, name, "cpu").stage(result).force_mae

    def scored(
        self, result: StageResult, blank: Compared, labels: dict[str, int], start: float
    ) -> Compared:
        """The record of a fixed arm; `start` is the process's time when it began."""
        error, dear = self.error_of(result), sum(n for key, n in labels.items() if key != "dft")
        return blank.model_copy(
            update={
                "spent": dear + labels.get("dft", 0) / RATIO,
                "labels": labels,
                "error": error,
                "frames": len(self.test),
                "seconds": time.process_time() - start,
            }
        )


def draw_of(place: Place, pair: Pair) -> Drawn:
    molecule, recipe = find_molecule(pair.molecule), place.recipe
    test = judging_frames(molecule, recipe)
    if test is None:
        raise SystemExit("The recipe sets no test frames apart.")
    target, middle = (file_of(tier, molecule, recipe) for tier in (TARGET, MIDDLE))
    return Drawn(place.root, target, middle, test, replayed_pool(molecule, recipe))


def _places(file: LabelledFile, positions_FA3: Array) -> Sequence[int]:
    """Where these geometries of the pool lie in its file."""
    known = {row.tobytes(): place for place, row in enumerate(file.positions_NA3)}
    return [known[row.tobytes()] for row in positions_FA3]


def campaign(place: Place, pair: Pair, blank: Compared) -> Compared:
    """A campaign to its end; killed before, it goes on."""
    start, budget = time.monotonic(), f"{blank.budget:g}ccsd"
    folder = RunFolder.at(place.root / f"run{blank.note}-{budget}")
    said = _run(pair.molecule, budget, str(place.recipe_file), str(folder.root))
    found = json.loads(errors_of_test_frames(folder).read_text(encoding="utf-8"))
    told = load_plan(folder.plan).forecast
    return blank.model_copy(
        update={
            "spent": said["spent"],
            "labels": _labels(folder),
            "error": found["force_field"]["force_mae"],
            "scratch": found["baseline"]["force_mae"],
            "frames": found["frames"],
            "rounds": len(ended_rounds(folder)),
            "forecast": told and (told.low, told.median, told.high),
            "why": said["why"],
            "seconds": time.monotonic() - start,
        }
    )


def _run(*words: str) -> dict[str, object]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    done = subprocess.run(
        [sys.executable, str(CHILD), *words],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=env,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _labels(folder: RunFolder) -> dict[str, int]:
    """Frames of the dear tiers by purpose; calibration is trained on."""
    frames, counts = load_frames(folder.frames, tuple(Purpose)), Counter[str]()
    for method, purpose in zip(frames.method_F.tolist(), frames.purpose_F.tolist(), strict=True):
        tier, fitted = frames.methods[method].tier, purpose in (Purpose.TRAIN, Purpose.CALIBRATION)
        if tier in (TARGET, MIDDLE):
            counts[f"{tier}" if fitted else f"{tier} {Purpose(purpose).name.lower()}"] += 1
    return dict(counts)
