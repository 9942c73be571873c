"""How stages run: one after another in this process, or several side by side under Ray.

Either way a finished stage is found again and an interrupted one goes on from its checkpoint.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from forgefield.platform.benchmarking.pace import ALL, Pace, WithTimeLeft
from forgefield.platform.benchmarking.wording import InWords, forecast, steps_in
from forgefield.platform.planning.machine import this_machine
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.asteroid_settings import Chain, Runner
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageProgress, StageResult

if TYPE_CHECKING:
    from forgefield.platform.benchmarking.preparing import Prepared

STAGES = "stages"
Key = TypeVar("Key")


def device_of(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where torch finds one. Raises `InputError`."""
    import torch

    there = torch.cuda.is_available()
    if wanted not in {"auto", "cpu", "cuda"}:
        raise InputError(f"{wanted!r} is no device. Choose auto, cpu or cuda.")
    if wanted == "cuda" and not there:
        raise InputError(
            "torch finds no GPU here. Say --device cpu, or install a CUDA build of it."
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def parallel_of(wanted: int | None, device: str) -> int:
    """Stages at a time: by default one a GPU, or one a core where there is none."""
    if wanted is not None:
        return wanted
    if device == "cuda":
        import torch

        return int(torch.cuda.device_count())
    return this_machine().cores


def train_all(
    chains: Mapping[Key, Chain], prepared: "Prepared", reporter: Reporter
) -> dict[Key, tuple[StageResult, ...]]:
    """Train chains, each after those that it goes on from, or find that they were."""
    tasks = [task for chain in chains.values() for task in chain]
    steps, out = steps_in(tasks), prepared.asked.out
    reporter.say(forecast(len(tasks), steps))
    with _stage_runner(out, prepared.parallel, prepared.device, reporter, steps) as runner:
        return dict(zip(chains, runner(list(chains.values())), strict=True))


@contextmanager
def _stage_runner(
    folder: Path, parallel: int, device: str, reporter: Reporter, steps: int
) -> Iterator[Runner]:
    """A runner of chains of stages whose outputs lie in `folder`/stages, `steps` in all."""
    pace = Pace(steps)
    reporter = InWords(WithTimeLeft(reporter, pace))
    if parallel == 1:
        yield _counted(lambda chains: _one_by_one(chains, device, reporter), pace)
        reporter.end(ALL)
        return
    with ExitStack() as stack:
        started: list[Runner] = []

        def run(chains: Sequence[Chain]) -> Sequence[tuple[StageResult, ...]]:
            found = [finished_chain(chain) for chain in chains]
            if all(found):
                return [results for results in found if results]
            if not started:
                started.append(stack.enter_context(_ray(folder, parallel, device, reporter)))
            return started[0](chains)

        yield _counted(run, pace)
        reporter.end(ALL)


def _counted(runner: Runner, pace: Pace) -> Runner:
    """The same runner; `pace` hears what was found finished, and what is done in the end."""
    behind = 0

    def run(chains: Sequence[Chain]) -> Sequence[tuple[StageResult, ...]]:
        nonlocal behind
        tasks = [task for chain in chains for task in chain]
        pace.settle(behind + steps_in(task for task in tasks if finished_chain([task])))
        results = runner(chains)
        behind += steps_in(tasks)
        pace.settle(behind)
        return results

    return run


def _one_by_one(
    chains: Sequence[Chain], device: str, reporter: Reporter
) -> list[tuple[StageResult, ...]]:
    from forgefield.trainers.stages.running import run_stage

    def watch(line: StageProgress) -> None:
        best = three_digits(line.fit.best * KCAL_PER_MOL_PER_EV)
        detail = f"validation {best} kcal/mol/Å" if line.fit.best < float("inf") else ""
        reporter.bar(line.stage, line.fit.step, line.fit.steps, detail)

    results: list[tuple[StageResult, ...]] = []
    for chain in chains:
        done: list[StageResult] = []
        for task in chain:
            done.append(run_stage(task, watch, device=device))
            reporter.end(task.name)
        results.append(tuple(done))
    return results


@contextmanager
def _ray(folder: Path, parallel: int, device: str, reporter: Reporter) -> Iterator[Runner]:
    from forgefield.platform.cluster import ray_cluster
    from forgefield.platform.training import progress_bars
    from forgefield.trainers.ray_train import RaySettings, run_stages

    here = this_machine()
    machine = replace(here, cores=max(parallel, here.cores))
    settings = RaySettings(
        storage=folder / "ray",
        progress=folder / "progress",
        parallel=parallel,
        gpu=device == "cuda",
    )
    with (
        ray_cluster(None, machine),
        progress_bars(settings.progress, folder / STAGES, reporter),
    ):
        yield lambda chains: run_stages(chains, settings)
