"""Force errors on a grid of label counts: what the planner's priors and acceptance rest on.

    python tests/benchmarks/planning/grid.py --out grid --seeds 2
    python tests/benchmarks/planning/grid.py --out grid --convert

For every system and seed one pre-training per number of middle labels, fine-tuned on nested sets
of target labels, and training from scratch on the same sets. 50 validation frames choose the best
step, 200 test frames measure. Finished points are found again; a killed stage goes on from its
checkpoint. Every point goes to `out/errors.jsonl` at once; `--convert` and the end of a run write
`errors.json` beside this script. One core; training is that of a campaign, shortened.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

from grid_records import Record, append_line, read_lines, tables, write_errors
from grid_systems import SYSTEMS, System, files_of
from rich.console import Console

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.draws import cheap_draw, index_hash
from forgefield.platform.benchmarking.preparing import Prepared, prepare
from forgefield.platform.benchmarking.scoring import Judge
from forgefield.platform.benchmarking.stores import Part, accurate_parts
from forgefield.platform.screen.terminal import Terminal
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.presets import Preset
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageTask

HERE = Path(__file__).parent
DATA = HERE.parents[3] / "shared" / "data"
LOG = "errors.jsonl"
RUNGS = (2000, 100, 0, 500)
"""Numbers of middle labels in the order of work; 0 is training from scratch."""
TARGETS = (8, 25, 50, 100, 200)
VALIDATION, TEST = 50, 200
STEPS = {"standard": 600, "pretrain": 1500, "finetune": 250}
"""Of a campaign's 800, 1500 (in batches of 12 there, of 8 here) and 400."""
Done = dict[tuple[str, str, int, int, int], Record]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--systems", nargs="*", default=[system.name for system in SYSTEMS])
    parser.add_argument("--errors", type=Path, default=HERE / "errors.json")
    parser.add_argument("--convert", action="store_true", help="only write errors.json")
    options = parser.parse_args()
    log = options.out / LOG
    if not options.convert:
        chosen = [system for system in SYSTEMS if system.name in options.systems]
        for seed in range(options.seeds):
            grids = [Grid(system, seed, options.data, options.out.absolute()) for system in chosen]
            for rung, grid in product(RUNGS, grids):
                grid.measure(rung)
    records = sorted(read_lines(log).values(), key=lambda record: record.point)
    write_errors(options.errors, records)
    print(tables(records))


def schedule() -> Preset:
    """What a campaign trains with, shortened; nothing stops early, so steps are known."""
    ours = AsteroidSettings()
    fits = {
        "standard": ours.standard,
        "pretrain": ours.pretrain[0].fit,
        "finetune": ours.finetune,
    }
    fixed = {
        name: fit.model_copy(update={"steps": STEPS[name], "batch": 8, "patience": 0})
        for name, fit in fits.items()
    }
    return Preset.model_validate({"model": ours.model, **fixed})


@dataclass(frozen=True)
class Grid:
    """The points of one system and seed."""

    system: System
    seed: int
    data: Path
    out: Path

    def measure(self, rung: int) -> None:
        """All points with `rung` middle labels, unless they are known already."""
        log = self.out / LOG
        if rung not in self.system.rungs or self._whole(read_lines(log), rung):
            return
        for record in self._tuned(rung) if rung else self._scratch():
            append_line(log, record)
            print(f"{record.point}: {record.error:.3f} in {record.seconds:.0f} s", flush=True)

    def _whole(self, done: Done, rung: int) -> bool:
        kind = "tuned" if rung else "scratch"
        return all((self.system.name, kind, n, rung, self.seed) in done for n in TARGETS)

    @cached_property
    def prepared(self) -> Prepared:
        """The system's files and its draws of all seeds up to this one."""
        accurate, cheap = files_of(self.system, self.data, self.out / "made")
        asked = Asked(
            accurate,
            cheap,
            None,
            self.out / self.system.name,
            seeds=self.seed + 1,
            validation=VALIDATION,
            test_frames=TEST,
            redraw=True,
            unit=self.system.unit,
            trust=True,
            parallel=1,
            device="cpu",
        )
        return replace(prepare(asked, max(TARGETS), Terminal(Console())), preset=schedule())

    def _scratch(self) -> Iterator[Record]:
        course = self.prepared.course(self.seed, 1.0)
        for n in TARGETS:
            yield self._record(course.standard(self._accurate(n), f"{n}"), "scratch", n, 0)

    def _tuned(self, rung: int) -> Iterator[Record]:
        prepared, draw = self.prepared, self.prepared.draw(self.seed)
        course = prepared.course(self.seed, 1.0)
        cheap = cheap_draw(prepared.pool(draw), max(RUNGS) + TEST, self.seed)
        first = accurate_parts(prepared.accurate, draw, min(TARGETS))
        store = prepared.store([*first, Part(prepared.cheap, cheap[:rung])])
        task = course.pretrain(store, f"low{rung}")
        yield self._pretrained(task, rung, cheap[-TEST:])
        for n in TARGETS:
            tune = course.finetune(self._accurate(n), f"low{rung}-{n}", task.output)
            yield self._record(tune, "tuned", n, rung)

    def _accurate(self, n: int) -> Path:
        draw = self.prepared.draw(self.seed)
        return self.prepared.store(accurate_parts(self.prepared.accurate, draw, n))

    def _pretrained(self, task: StageTask, rung: int, unseen: Sequence[int]) -> Record:
        """A pre-trained network's error on frames of its own tier, and on the target's."""
        record, cheap = self._record(task, "pretrained", 0, rung), self.prepared.cheap
        name = f"{cheap.sha256[:16]} {index_hash(unseen)}"
        judge = Judge(self.out / self.system.name / "on-middle", cheap.frames(unseen), name, "cpu")
        own = judge.stage(run_stage(task)).force_mae
        return record.model_copy(update={"error": own, "error_on_target": record.error})

    def _record(self, task: StageTask, kind: str, n: int, rung: int) -> Record:
        started = time.process_time()
        result = run_stage(task)
        spent = time.process_time() - started
        draw, known = self.prepared.draw(self.seed), result.validation
        score = self.prepared.judge(draw).stage(result)
        return Record(
            system=self.system.name,
            target=self.system.target,
            middle=self.system.middle,
            n_target=n,
            n_middle=rung,
            kind=kind,
            seed=self.seed,
            error=score.force_mae,
            validation_error=None if known is None else known * KCAL_PER_MOL_PER_EV,
            frames=score.frames,
            validation_frames=0 if known is None else len(draw.validation),
            steps=sum(phase.steps for phase in result.phases),
            seconds=result.wall_s if result.reused else spent,
        )


if __name__ == "__main__":
    main()
