"""Committees on ethanol: calibration on frames nobody saw, and stacked networks against a loop.

    python tests/benchmarks/training/committee.py --steps 1500 --plot calibration.png
    python tests/benchmarks/training/committee.py --speed

Frames are MD17@CCSD(T) ethanol: 200 to train on, 50 to stop training and to calibrate, and test
frames that decide nothing. Errors in kcal/mol/Å; σ is per force component.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from forgefield.platform.reporting.calibration import plot_calibration
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    IMPORTED,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import Interval, by_distance, errors
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings, NequIPSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.references import force_scale, reference_energies
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty import calibrate, fit_committee, reliability
from forgefield.trainers.uncertainty.reliability import Reliability, left_out_sigma
from forgefield.trainers.uncertainty.stacked import energies_and_forces, stack

DATA = Path(__file__).parents[4] / "shared" / "data" / "ethanol_ccsd_t-train.npz"
ELEMENTS = (1, 6, 8)
ORIGIN = Provenance(IMPORTED, "", "", 0, 0.0, 0.0)
METHOD = Method(Tier.CCSD, "CCSD(T)/cc-pVTZ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--test", type=int, default=700)
    parser.add_argument("--bootstrap", action="store_true")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.speed:
        speed(options.data)
    else:
        calibration(options)


def calibration(options: argparse.Namespace) -> None:
    """Train, calibrate on validation frames, judge on test frames."""
    order = np.random.default_rng(0).permutation(1000)
    train = frames_of(options.data, order[:200], Purpose.TRAIN)
    judged = frames_of(options.data, order[200:250], Purpose.VALIDATION)
    test = frames_of(options.data, order[250 : 250 + options.test], Purpose.HOLDOUT)
    model = EGNNSettings(layers=3, channels=64, elements=ELEMENTS)
    settings = FitSettings(steps=options.steps, rate=2e-3, evaluate_every=100)
    started = time.perf_counter()
    members = fit_committee(
        about(train, model),
        train,
        judged,
        settings,
        members=options.members,
        bootstrap=options.bootstrap,
        together=options.together,
    )
    print(f"{time.perf_counter() - started:.0f} s for {options.members} members")
    seen, unseen = members.judge(judged), members.judge(test)
    learnt = calibrate(seen.forces_A3, seen.spread_A, judged)
    print(learnt)
    left_out = left_out_sigma(seen.forces_A3, seen.spread_A, judged)
    say("validation, left out", reliability(seen.forces_A3, left_out, judged))
    found = reliability(unseen.forces_A3, learnt.sigma(unseen.spread_A), test)
    say("test", found)
    say("test, raw", reliability(unseen.forces_A3, unseen.spread_A / 3**0.5, test))
    alone = [member.predict(test) for member in members.members]
    named = {f"member {place}": errors(*each, test) for place, each in enumerate(alone)}
    for name, each in {**named, "mean": errors(unseen.energy_F, unseen.forces_A3, test)}.items():
        print(f"{name}: force MAE {kcal(each.force_mae_kcal)} kcal/mol/Å")
    for part in by_distance(unseen.forces_A3, test, train):
        print(f"{part.nearest:.3f} to {part.farthest:.3f} Å: {kcal(part.force_mae_kcal)}")
    if options.plot:
        plot_calibration(options.plot, found)


def kcal(found: Interval) -> str:
    """`0.123 (0.110 to 0.140)`."""
    return f"{found.value:#.3g} ({found.low:#.3g} to {found.high:#.3g})"


def say(name: str, found: Reliability) -> None:
    """One line of the calibration curve's numbers."""
    covered = dict(zip(found.levels, found.coverage, strict=True))
    bins = " ".join(
        f"{KCAL_PER_MOL_PER_EV * b.predicted:.2f}→{KCAL_PER_MOL_PER_EV * b.observed.value:.2f}"
        for b in found.bins
    )
    print(
        f"{name}: area {found.miscalibration_area:.3f}, coverage 50 % {covered[0.5]:.2f}, "
        f"95 % {covered[0.95]:.3f}, nll {found.nll:.3f} (one σ: {found.nll_constant:.3f}), "
        f"rank correlation {found.rank_correlation:.2f}; {bins}"
    )


def speed(data: Path) -> None:
    """Milliseconds of energies and forces of all members: as one stacked network, in a loop."""
    models: tuple[ModelSettings, ...] = (
        EGNNSettings(elements=ELEMENTS),
        NequIPSettings(elements=ELEMENTS),
    )
    for model in models:
        for members in (4, 8):
            told = [Metadata(method="m", scale=1, references={}, model=model, seed=s)
                    for s in range(members)]  # fmt: skip
            networks = [ForceField.fresh(each).network for each in told]
            parameters = stack(networks)
            for frames in (1, 8, 32):
                part = frames_of(data, np.arange(frames), Purpose.TRAIN)
                graph = GraphSet(part, model.cutoff).batch(np.arange(frames)).graph
                together = best_time(lambda n=networks, p=parameters, g=graph: (
                    energies_and_forces(n[0], p, g)
                ))  # fmt: skip
                looped = best_time(lambda n=networks, g=graph: [
                    energy_and_forces(each, g) for each in n
                ])  # fmt: skip
                print(
                    f"{model.kind:7} {members} members {frames:3} frames: "
                    f"stacked {1e3 * together:7.1f} ms, loop {1e3 * looped:7.1f} ms"
                )


def best_time(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of some runs after a first one, seconds."""
    work()
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def about(frames: Frames, model: ModelSettings) -> Metadata:
    """What members share."""
    references = reference_energies(frames)
    return Metadata(
        method=METHOD.name, scale=force_scale(frames), references=references, model=model
    )


def frames_of(path: Path, index: np.ndarray, purpose: Purpose) -> Frames:
    """Frames of an sGDML file in kcal/mol."""
    data = np.load(path)
    numbers = tuple(int(z) for z in data["z"])
    stored = []
    for place in index.tolist():
        shape = Configuration("ethanol", numbers, data["R"][place].astype(np.float64))
        energy = float(np.ravel(data["E"])[place]) / KCAL_PER_MOL_PER_EV
        forces = data["F"][place].astype(np.float64) / KCAL_PER_MOL_PER_EV
        label = Label(energy, forces, ORIGIN)
        stored.append(StoredFrame(place + 1, Job(shape, METHOD, purpose), label, 0))
    return from_stored(stored)


if __name__ == "__main__":
    main()
