"""Pre-training by score matching: frames without forces, sampled from the target's potential."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Label, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.units import EV_PER_KELVIN
from forgefield.trainers.fitting.captured import CapturedStep
from forgefield.trainers.fitting.objectives import Scores
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.models import build
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Phase, Selection, StageProgress, StageTask

MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]
Springs = Callable[..., tuple[float, Array]]
TEMPERATURE = 900.0
PHASE = {"objective": "scores", "temperature": TEMPERATURE}


def walk(start_A3: Array, forces_of: Callable[[Array], tuple[float, Array]], count: int) -> Array:
    """Positions (F, A, 3) from exp(−E/kT) by Langevin steps with acceptance (MALA)."""
    kT, step = EV_PER_KELVIN * TEMPERATURE, 4e-3
    generator = np.random.default_rng(0)
    x, (energy, force) = start_A3, forces_of(start_A3)
    found = []
    for turn in range(10 * count):
        drift = step / 2 / kT
        y = x + drift * force + step**0.5 * generator.normal(size=x.shape)
        energy_y, force_y = forces_of(y)
        there = ((y - x - drift * force) ** 2).sum()
        back = ((x - y - drift * force_y) ** 2).sum()
        if np.log(generator.random()) < (energy - energy_y) / kT + (there - back) / (2 * step):
            x, energy, force = y, energy_y, force_y
        if turn % 10 == 9:
            found.append(x)
    return np.array(found)


@pytest.fixture(scope="module")
def sampled(
    make_frames: MakeFrames,
    springs: Springs,
    rest_A3: Array,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """1500 frames of the `springs` molecule at 900 K without forces, and 8 accurate ones."""
    ((first,), path) = make_frames(Tier.XTB, 1, 1), tmp_path_factory.mktemp("sampled") / "frames"
    shape = first.job.configuration
    stored = [*make_frames(Tier.CCSD, 8, 2, start=5001)]
    for place, x_A3 in enumerate(walk(rest_A3, lambda x: springs(x, 8.0), 1500), 1):
        job = replace(first.job, configuration=replace(shape, positions_A3=x_A3))
        stored.append(replace(first, seq=place, job=job, label=_blank(first)))
    with FrameStore.open_for_writing(path) as store:
        store.append(stored)
    return path


def _blank(frame: StoredFrame) -> Label:
    return replace(frame.label, energy=0.0, forces_A3=None)


@pytest.fixture(scope="module")
def pretrained(sampled: Path, make_task: MakeTask) -> Path:
    fit = {"steps": 200, "batch": 32, "ema": 0.98}
    task = make_task("scores", Tier.XTB, frames=sampled, phase=PHASE, fit=fit)
    return run_stage(task).output


def mean_error(folder: Path, frames: Frames) -> float:
    return float(np.abs(ForceField.load(folder).predict(frames)[1] - frames.forces_A3).mean())


def test_unlabelled_frames_teach_the_forces(
    pretrained: Path, sampled: Path, make_task: MakeTask, make_frames: MakeFrames
) -> None:
    """They leave half of the mean force; with 8 accurate frames less than those alone."""
    unseen = from_stored(make_frames(Tier.CCSD, 60, 77))
    few = {"frames": sampled, "fit": {"steps": 100, "rate": 1e-3}}
    tuned = run_stage(make_task("tuned", Tier.CCSD, start=pretrained, **few)).output
    alone = run_stage(make_task("alone", Tier.CCSD, **few)).output
    size = float(np.abs(unseen.forces_A3).mean())
    errors = [mean_error(folder, unseen) / size for folder in (pretrained, tuned, alone)]
    assert errors[0] < 0.5
    assert errors[1] < 0.6 * errors[2]
    gap = ForceField.load(pretrained).predict(unseen)[0] - unseen.energy_F
    assert np.abs(gap).mean() < 0.3


def test_an_interrupted_fit_draws_the_same_directions(sampled: Path, make_task: MakeTask) -> None:
    fit = {"steps": 20, "evaluate_every": 5, "save_every": 5}
    ends = []
    for stop in (None, 15):
        task = make_task("resumed", Tier.XTB, frames=sampled, phase=PHASE, fit=fit)

        def watch(line: StageProgress, stop: int | None = stop) -> None:
            if line.fit.step == stop:
                raise KeyboardInterrupt

        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                run_stage(task, watch)
        ends.append(ForceField.load(run_stage(task).output).network.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_a_traced_step_is_the_eager_one(make_frames: MakeFrames) -> None:
    """What `torch.compile` is given: three derivatives, none left to take."""
    torch.manual_seed(0)
    model = build(EGNNSettings(layers=2, channels=8, radial=6, elements=(1, 6, 8))).double()
    frames = from_stored(make_frames(Tier.CCSD, 5, 1))
    batch = GraphSet(frames, 5.0, dtype=torch.float64).batch(np.arange(5))
    objective = Scores(0.1)
    extra = objective.draw(batch.graph, torch.arange(5), 0)
    captured = CapturedStep(model, objective)
    captured._compile = captured.trace  # type: ignore[method-assign]
    flat = torch.cat([value.detach().reshape(-1) for value in model.parameters()])
    found = captured(flat, batch, extra)
    assert found is not None
    loss = objective(model, batch, extra)
    slopes = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    torch.testing.assert_close(found[0], loss.detach())
    torch.testing.assert_close(found[1], torch.cat([slope.reshape(-1) for slope in slopes]))


@pytest.mark.parametrize("wrong", [{"objective": "scores"}, {"temperature": 300.0}])
def test_scores_and_a_temperature_go_together(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="give both"):
        Phase(frames=Selection(tiers=(Tier.DFT,)), fit=FitSettings(), **wrong)
