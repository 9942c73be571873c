"""How stages run: one after another in this process, or several side by side under Ray.

Either way a finished stage is found again and an interrupted one goes on from its checkpoint.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from forgefield.platform.benchmarking.pace import ALL, Pace, WithTimeLeft
from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.stage_plans import STAGES
from forgefield.platform.benchmarking.waves import Waves, chains_in
from forgefield.platform.benchmarking.wording import InWords, forecast, in_words, steps_in
from forgefield.platform.interrupts import leave_if_pressed
from forgefield.platform.planning.machine import this_machine
from forgefield.platform.screen.reporter import Once, Reporter
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.endings import Ending, lost
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageProgress, StageResult

Key = TypeVar("Key")
Endings = Generator[tuple[int, Ending]]
"""Place and ending of one chain after another, as they end."""


@dataclass(frozen=True, slots=True)
class Training:
    """Trains chains of a benchmark, all at once or wave after wave; `pace` is that of all waves.

    `over` are the chains of the waves so far; later ones may go on from them.
    """

    prepared: Prepared
    reporter: Reporter
    pace: Pace
    over: list[tuple[Chain, Ending]] = field(default_factory=list)

    @classmethod
    def expecting(cls, waves: Waves, prepared: Prepared, reporter: Reporter) -> "Training":
        """One of so much work, which it says."""
        chains = chains_in(waves)
        steps = _steps(chains)
        finished = sum(bool(finished_chain([task])) for chain in chains for task in chain)
        reporter.say(forecast(sum(map(len, chains)), finished, steps))
        return cls(prepared, reporter, Pace(steps))

    def run(self, chains: Mapping[Key, Chain]) -> dict[Key, Ending]:
        """Train chains, each after those that it goes on from, or find that they were.

        A chain that diverges ends with that error, and so do those that go on from it; the others
        are trained all the same.
        """
        before, known = self.pace.settled, list(chains.values())
        done = steps_in(task for chain in known for task in chain if finished_chain([task]))
        self.pace.settle(before + done)
        timed = WithTimeLeft(self.reporter, self.pace)
        shown, found = InWords(timed), dict[Key, Ending]()
        with closing(self._ending(chains, shown)) as endings:
            for key, ending in endings:
                found[key] = ending
                if isinstance(ending, TrainingDiverged):
                    _give_up(chains[key], self.pace)
                    timed.whole()
                    left = in_words(chains[key][-1].name)
                    self.reporter.say(f"Left out: {left}. {ending}")
        self.pace.settle(before + _steps(known))
        shown.end(ALL)
        self.over.extend((chain, found[key]) for key, chain in chains.items())
        return {key: found[key] for key in chains}

    def _ending(
        self, chains: Mapping[Key, Chain], reporter: Reporter
    ) -> Generator[tuple[Key, Ending]]:
        """Each chain as it ends; at once those that go on from what diverged in an earlier wave."""
        open_chains = dict(chains)
        for key, chain in chains.items():
            error = lost(chain, self.over)
            if error is not None:
                del open_chains[key]
                yield key, error
        keys = list(open_chains)
        with closing(_endings([*open_chains.values()], self.prepared, reporter)) as endings:
            for place, ending in endings:
                yield keys[place], ending


def train_all(
    chains: Mapping[Key, Chain], prepared: Prepared, reporter: Reporter
) -> dict[Key, Ending]:
    """Train chains that wait for no choice, as `Training.run` does."""
    return Training.expecting([chains], prepared, reporter).run(chains)


def _steps(chains: Iterable[Chain]) -> int:
    return steps_in(task for chain in chains for task in chain)


def _give_up(chain: Chain, pace: Pace) -> None:
    for task in chain:
        if not finished_chain([task]):
            pace.give_up(in_words(task.name), steps_in([task]))


def stages_of(found: Mapping[Key, Ending], key: Key) -> tuple[StageResult, ...]:
    """The stages of a chain; raises `TrainingDiverged` where it ended so."""
    ending = found[key]
    if isinstance(ending, TrainingDiverged):
        raise ending
    return ending


def _endings(chains: Sequence[Chain], prepared: Prepared, reporter: Reporter) -> Endings:
    """Ray is started where something has to be trained side by side, and not before."""
    if prepared.parallel == 1:
        return _one_by_one(chains, prepared.device, reporter)
    found = [finished_chain(chain) for chain in chains]
    if all(found):
        return _found([results for results in found if results])
    return _ray(chains, prepared, reporter)


def _found(results: Sequence[tuple[StageResult, ...]]) -> Endings:
    yield from enumerate(results)


def _one_by_one(chains: Sequence[Chain], device: str, reporter: Reporter) -> Endings:
    over: list[tuple[Chain, Ending]] = []
    say_once = Once(reporter.say)
    for place, chain in enumerate(chains):
        over.append((chain, lost(chain, over) or _in_turn(chain, device, reporter, say_once)))
        yield place, over[-1][1]


def _in_turn(chain: Chain, device: str, reporter: Reporter, say_once: Once) -> Ending:
    """What fits have to tell people is said once for all chains of a wave."""
    from forgefield.trainers.stages.running import run_stage

    def watch(line: StageProgress) -> None:
        leave_if_pressed()
        best = three_digits(line.fit.best * KCAL_PER_MOL_PER_EV)
        detail = f"validation {best} kcal/mol/Å" if line.fit.best < float("inf") else ""
        reporter.bar(line.stage, line.fit.step, line.fit.steps, detail)
        say_once(line.fit.said)

    done: list[StageResult] = []
    for task in chain:
        try:
            done.append(run_stage(task, watch, device=device))
        except TrainingDiverged as error:
            return error
        finally:
            reporter.end(task.name)
    return tuple(done)


def _ray(chains: Sequence[Chain], prepared: Prepared, reporter: Reporter) -> Endings:
    from forgefield.platform.cluster import ray_cluster
    from forgefield.platform.training import progress_bars
    from forgefield.trainers.ray_train import RaySettings, stage_endings

    here, folder = this_machine(), prepared.asked.out
    machine = replace(here, cores=max(prepared.parallel, here.cores))
    settings = RaySettings(
        storage=folder / "ray",
        progress=folder / "progress",
        parallel=prepared.parallel,
        gpu=prepared.device == "cuda",
    )
    with (
        ray_cluster(None, machine),
        progress_bars(settings.progress, folder / STAGES, reporter),
    ):
        yield from stage_endings(chains, settings, leave_if_pressed)
