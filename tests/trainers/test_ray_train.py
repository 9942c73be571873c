"""Ray Train runs the same stages with the same numbers; needs a local Ray, about 20 s a test."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from forgefield.storage.errors import (
    ForgefieldError,
    InputError,
    MissingProgram,
    StorageError,
    TrainingDiverged,
)
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.last_words import raise_last_words
from forgefield.trainers.model_settings import EGNNSettings, NequIPSettings
from forgefield.trainers.ray_train import (
    RaySettings,
    _train_loop,
    gpus_at_hand,
    gpus_seen,
    run_stages,
)
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages import running
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.progress import latest_progress
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.side_by_side import startable
from forgefield.trainers.stages.tasks import Phase, Selection, StageResult, StageTask

ray = pytest.importorskip("ray")
FIT = FitSettings(steps=20, batch=5, rate=3e-3, evaluate_every=5, warm_up=5, save_every=10)


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray.init(
        num_cpus=3, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="error"
    )
    yield
    ray.shutdown()


def task(store: Path, output: Path, name: str, tier: Tier = Tier.CCSD, **fit: object) -> StageTask:
    phase = Phase(frames=Selection(tiers=(tier,)), fit=FIT.model_copy(update=fit))
    return StageTask(
        name=name,
        frames=store,
        output=output / name,
        phases=(phase,),
        validation=Selection(tiers=(Tier.CCSD,), purposes=(Purpose.VALIDATION,)),
        model=EGNNSettings(layers=2, channels=16),
    )


def settings(folder: Path, **changes: object) -> RaySettings:
    plain = RaySettings(storage=folder / "ray", progress=folder / "progress", retries=0)
    return plain.model_copy(update=changes)


def weights(result: StageResult) -> dict[str, torch.Tensor]:
    return ForceField.load(result.output).network.state_dict()


def same_bits(one: StageResult, other: StageResult) -> bool:
    theirs = weights(other)
    return all(torch.equal(value, theirs[name]) for name, value in weights(one).items())


@pytest.mark.usefixtures("_cluster")
def test_ray_train_gives_the_bits_of_plain_training(frame_store: Path, tmp_path: Path) -> None:
    plain = run_stage(task(frame_store, tmp_path, "plain"))
    ((found,),) = run_stages([[task(frame_store, tmp_path, "ray")]], settings(tmp_path))
    assert same_bits(plain, found)
    assert found.phases == plain.phases
    assert latest_progress(tmp_path / "progress")["ray"].fit.step == 20
    ((again,),) = run_stages([[task(frame_store, tmp_path, "ray")]], settings(tmp_path))
    assert again.reused
    assert np.isfinite(found.wall_s)


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_bad_input_comes_out_as_itself_and_is_not_tried_again(
    frame_store: Path, tmp_path: Path
) -> None:
    """No frames of the tier: found inside the stage, in a worker of a trainer in a task."""
    chain = [task(frame_store, tmp_path, "hopeless", Tier.EMPIRICAL)]
    with pytest.raises(InputError) as plain:
        run_stage(chain[0])
    with pytest.raises(InputError) as found:
        run_stages([chain], settings(tmp_path, retries=2))
    assert str(plain.value) in str(found.value)
    assert type(found.value) is InputError
    assert not chain[0].output.exists()


@pytest.mark.parametrize("kind", [InputError, MissingProgram, TrainingDiverged, StorageError])
def test_a_worker_fails_only_where_another_try_may_help(
    kind: type[ForgefieldError], frame_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Train tries again what fails; whatever happens, the error is left as it was."""

    def fail(*_: object, **__: object) -> None:
        raise kind("words of the stage")

    monkeypatch.setattr(running, "run_stage", fail)
    stage = task(frame_store, tmp_path, "failing")
    config = {"tasks": [stage.model_dump_json()], "settings": settings(tmp_path).model_dump_json()}
    with pytest.raises(kind) if kind is StorageError else nullcontext():
        _train_loop(config)
    (left,) = (tmp_path / "ray").glob("*.error.json")
    with pytest.raises(kind, match="words of the stage"):
        raise_last_words(left)


@pytest.mark.usefixtures("_cluster")
def test_gpus_that_only_ray_sees_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_seen() == 2
    for built in (False, True):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda built=built: built)
        assert gpus_at_hand() == 2 * built


@pytest.mark.skipif(torch.cuda.is_available(), reason="its GPU would be used")
@pytest.mark.usefixtures("_cluster")
def test_a_worker_without_the_gpu_that_it_was_lent_says_what_to_do(
    frame_store: Path, tmp_path: Path
) -> None:
    """It doesn't train on one core instead."""
    stage = task(frame_store, tmp_path, "lent")
    with pytest.raises(MissingProgram, match=r"can't use it.*CUDA_VISIBLE_DEVICES="):
        run_stages([[stage]], settings(tmp_path, gpu=True, retries=2))
    assert not stage.output.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_two_workers_have_the_loss_curve_of_one(frame_store: Path, tmp_path: Path) -> None:
    """A batch of 5 is 3 + 2 frames; then a second stage that starts from what the first left."""
    tasks = {}
    for name in ("one", "two"):
        first = task(frame_store, tmp_path, f"{name}-first", Tier.XTB, steps=60)
        second = task(frame_store, tmp_path, f"{name}-second")
        tasks[name] = [first, second.model_copy(update={"start": first.output})]
    alone = [run_stage(stage) for stage in tasks["one"]]
    (shared,) = run_stages([tasks["two"]], settings(tmp_path, workers=2))
    for one, two in zip(alone, shared, strict=True):
        curves = [[line.loss for line in result.phases[0].history] for result in (one, two)]
        assert len(curves[0]) >= 4
        assert curves[1] == pytest.approx(curves[0], rel=1e-4)
        assert two.validation == pytest.approx(one.validation, rel=1e-4)
        for name, value in weights(one).items():
            torch.testing.assert_close(weights(two)[name], value, rtol=0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_two_workers_have_the_curve_of_one_with_the_default_model_and_optimiser(
    frame_store: Path, tmp_path: Path
) -> None:
    """Rounding grows tenfold in ten steps: from 1e-7 to 2e-6 in these."""
    muon = {"optimiser": "muon", "rate": 0.04, "weight_decay": 0.0, "steps": 30}
    model = NequIPSettings(layers=3, channels=(16, 8, 4))
    alone, shared = (
        task(frame_store, tmp_path, name, Tier.XTB, **muon).model_copy(update={"model": model})
        for name in ("alone", "shared")
    )
    one = run_stage(alone)
    ((two,),) = run_stages([[shared]], settings(tmp_path, workers=2))
    curves = [[line.loss for line in result.phases[0].history] for result in (one, two)]
    assert curves[1] == pytest.approx(curves[0], rel=5e-5)
    assert two.validation == pytest.approx(one.validation, rel=5e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_replaced_and_no_bit_is_lost(
    frame_store: Path, tmp_path: Path, workers: int
) -> None:
    """SIGKILL in the middle of a stage; the bits are those of one that nobody disturbed."""
    ray_settings = settings(tmp_path, workers=workers, retries=2)
    straight = task(frame_store, tmp_path, "straight", Tier.XTB, steps=400)
    killed = task(frame_store, tmp_path, "killed", Tier.XTB, steps=400)
    ((expected,),) = run_stages([[straight]], ray_settings)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_stages, [[killed]], ray_settings)
        _wait_for_step(ray_settings.progress, "killed", 30)
        victims = _training_workers()
        assert len(victims) == workers
        os.kill(victims[-1].pid, signal.SIGKILL)
        assert not killed.output.exists()
        ((found,),) = running.result()
    assert same_bits(expected, found)
    assert found.phases == expected.phases


def _wait_for_step(progress: Path, name: str, step: int) -> None:
    while (line := latest_progress(progress).get(name)) is None or line.fit.step < step:
        time.sleep(0.01)


def _training_workers() -> list[psutil.Process]:
    """Those of this process's own Ray."""
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if "RayTrainWorker" in " ".join(process.cmdline())]


def test_a_chain_begins_when_what_it_goes_on_from_is_there(
    frame_store: Path, tmp_path: Path
) -> None:
    first = task(frame_store, tmp_path, "first")
    later = task(frame_store, tmp_path, "later").model_copy(update={"start": first.output})
    weighted = task(frame_store, tmp_path, "weighted").model_copy(
        update={"teacher": first.output, "c": 1.0}
    )
    free = task(frame_store, tmp_path, "free").model_copy(update={"start": tmp_path / "elsewhere"})
    chains = [(first,), (later,), (free, weighted), (free,)]
    assert startable(chains, (), ()) == [0, 3]
    assert startable(chains, {0, 3}, {3}) == []
    assert startable(chains, {0, 3}, {0}) == [1, 2]
    assert startable([(later,), (first,)], (), ()) == [0, 1], "only what is named before it"


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_a_committee_is_trained_side_by_side(frame_store: Path, tmp_path: Path) -> None:
    chains = committee((task(frame_store, tmp_path, "member"),), 2)
    found = [result for (result,) in run_stages(chains, settings(tmp_path, parallel=2))]
    plain = [
        run_stage(member.model_copy(update={"output": tmp_path / f"plain-{member.seed}"}))
        for (member,) in chains
    ]
    assert same_bits(found[0], plain[0])
    assert same_bits(found[1], plain[1])
    assert not same_bits(found[0], found[1])
