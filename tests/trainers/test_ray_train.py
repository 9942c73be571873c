"""Ray Train runs the same stages with the same numbers; needs a local Ray, about 20 s."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.ray_train import RaySettings, latest_progress, run_stages
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Phase, Selection, StageTask

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def task(store: Path, output: Path, name: str) -> StageTask:
    fit = FitSettings(steps=20, batch=4, rate=3e-3, evaluate_every=10, warm_up=5)
    return StageTask(
        name=name,
        frames=store,
        output=output / name,
        phases=(Phase(frames=Selection(tiers=(Tier.CCSD,)), fit=fit),),
        validation=Selection(tiers=(Tier.CCSD,), purposes=(Purpose.VALIDATION,)),
        model=EGNNSettings(layers=2, channels=16),
    )


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ray_train_gives_the_numbers_of_plain_training(
    frame_store: Path, tmp_path: Path, workers: int
) -> None:
    """Bit for bit with one worker; to rounding with two that share each batch."""
    plain = run_stage(task(frame_store, tmp_path, "plain"))
    settings = RaySettings(
        storage=tmp_path / "ray", progress=tmp_path / "progress", workers=workers, retries=0
    )
    ((found,),) = run_stages([[task(frame_store, tmp_path, "ray")]], settings)
    weights = [ForceField.load(result.output).network.state_dict() for result in (plain, found)]
    tolerance = 0.0 if workers == 1 else 2e-3
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=tolerance)
    assert found.validation == pytest.approx(plain.validation, rel=1e-12 if workers == 1 else 1e-3)
    assert latest_progress(tmp_path / "progress")["ray"].fit.step == 20
    ((again,),) = run_stages([[task(frame_store, tmp_path, "ray")]], settings)
    assert again.reused
    assert np.isfinite(found.wall_s)
