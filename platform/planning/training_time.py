"""How long trainings take: the frames that their stages see, times what a frame takes here.

What a frame took in trainings of earlier runs on this host is kept beside the costs of labels
(`cost_store`) and carried to other molecules the same way (`cost_scaling`); before the first of
them a general figure stands in. A frame is one of a batch: energy, forces, loss and gradient.
"""

import platform
import time
from importlib.metadata import version

from forgefield.platform.planning.cost_scaling import Scaled, measured_cost, scaled_cost
from forgefield.platform.planning.cost_store import CostRecord, known_costs
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.quote_parts import TrainingTime
from forgefield.platform.planning.quoting import composition
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.planning.training_fits import (
    fits_of,
    fits_of_round,
    frames_of,
    longest_of_round,
    longest_way,
)
from forgefield.storage.records import Molecule
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid import AsteroidSettings, TrainingOutcome
from forgefield.trainers.stages.tasks import StageResult

FRAME_SECONDS_PER_ATOM = 0.75e-3
"""The default model on one core: NequIP and malonaldehyde, 6.6 ms a frame (75 GFLOP/s by torch.mm;
`tests/benchmarks/planning/RESULTS.md`)."""
GENERAL_FACTOR = 2.5
"""Within which a host and model that was never measured should lie of it, 9 times in 10."""


def frame_time(molecule: Molecule, training: AsteroidSettings) -> Scaled:
    """Seconds of a frame of `molecule` on this host."""
    guess, known = _predicted(len(molecule.numbers)), known_costs(_name(training), _version())
    if not known:
        return Scaled(guess, guess / GENERAL_FACTOR, guess * GENERAL_FACTOR)
    alike = [each for each in known if each.current]
    own = next((each for each in alike if each.molecule == composition(molecule)), None)
    return scaled_cost(guess, known) if own is None else measured_cost(own)


def training_time(
    training: AsteroidSettings,
    frame: Scaled,
    machine: Machine,
    rounds: RoundSettings | None = None,
    number: int = 0,
) -> TrainingTime:
    """Of all stages at their full length, and of a round's; there are `number` rounds at most.

    On a machine a chain of stages has one core at a time.
    """
    in_rounds = rounds if number else None
    of_round = frames_of(fits_of_round(training, in_rounds)) if in_rounds else 0
    way = frames_of(longest_of_round(training, in_rounds)) if in_rounds else 0
    work = frames_of(fits_of(training)) * frame.core_seconds
    longest = frames_of(longest_way(training)) * frame.core_seconds
    return TrainingTime(
        core_seconds=work,
        wall_s=max(work / (machine.nodes * machine.cores), longest),
        factor=frame.high / frame.core_seconds,
        rounds=number,
        round_core_seconds=of_round * frame.core_seconds,
        round_wall_s=way * frame.core_seconds,
    )


def pace_record(
    molecule: Molecule, training: AsteroidSettings, outcome: TrainingOutcome
) -> CostRecord | None:
    """What a frame took in this run's own fits, for later plans; None where all were found."""
    fits = [
        *((training.standard, each) for each in (outcome.baseline, *outcome.baseline_others)),
        *(
            (phase.fit, trial.pretrain)
            for trial in outcome.trials
            for phase in training.pretrain
            if trial.tiers[-1] in phase.tiers
        ),
    ]
    own = [(fit, result) for fit, result in fits if not result.reused]
    frames = sum(_frames_seen(fit, result) for fit, result in own)
    seconds = sum(result.wall_s for _, result in own)
    if not (frames and seconds):
        return None
    return CostRecord(
        host=platform.node(),
        method=_name(training),
        version=_version(),
        threads=1,
        molecule=composition(molecule),
        predicted=_predicted(len(molecule.numbers)),
        core_seconds=seconds / frames,
        labels=len(own),
        scatter=None,
        at=time.time(),
    )


def _frames_seen(fit: FitSettings, result: StageResult) -> int:
    return sum(phase.steps * min(fit.batch, phase.frames) for phase in result.phases)


def _predicted(atoms: int) -> float:
    return FRAME_SECONDS_PER_ATOM * atoms


def _name(training: AsteroidSettings) -> str:
    return f"a training frame, {training.model.title} of {training.model.size}"


def _version() -> str:
    """Of what trains."""
    return f"{version('forgefield')} with torch {version('torch')}"
