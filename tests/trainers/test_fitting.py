"""Fitting: seeded, resumable to the bit, the same on two workers, and it learns."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError, StorageError, TrainingDiverged
from forgefield.storage.frames import Frames
from forgefield.trainers.fitting import fit as fitting
from forgefield.trainers.fitting.checkpoints import read_checkpoint, write_tensors
from forgefield.trainers.fitting.fit import FitResult, fit, rate_at
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings, NequIPSettings
from forgefield.trainers.references import force_scale, reference_energies
from forgefield.trainers.settings import FitSettings, Progress
from forgefield.trainers.stages.data import graphs_of

MODEL = EGNNSettings(layers=2, channels=16, radial=8, elements=(1, 6, 8))
SETTINGS = FitSettings(steps=40, batch=4, rate=3e-3, warm_up=5, evaluate_every=10, save_every=15)


class Interrupted(Exception):
    """Stands for a kill."""


def fresh(frames: Frames, model: ModelSettings = MODEL) -> ForceField:
    metadata = Metadata(
        method="springs",
        scale=force_scale(frames),
        references=reference_energies(frames),
        model=model,
        seed=5,
    )
    return ForceField.fresh(metadata)


def run(
    frames: Frames,
    settings: FitSettings = SETTINGS,
    checkpoint: Path | None = None,
    stop_at: int | None = None,
    model: ModelSettings = MODEL,
) -> tuple[ForceField, FitResult]:
    force_field = fresh(frames, model)
    scale = force_field.metadata.scale
    parts = [frames.select(np.arange(len(frames)) % 3 != 0), frames.select(np.arange(0, 12, 3))]
    train, validation = (graphs_of(part, model.cutoff, scale) for part in parts)

    def watch(line: Progress) -> None:
        if line.step == stop_at:
            raise Interrupted

    result = fit(
        force_field.network,
        train,
        validation,
        settings,
        scale=scale,
        checkpoint=checkpoint,
        watch=watch,
    )
    return force_field, result


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_an_interrupted_fit_ends_with_the_same_bits(
    optimiser: str, accurate: Frames, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"optimiser": optimiser})
    straight, expected = run(accurate, settings)
    checkpoint = tmp_path / "fit.safetensors"
    for stop in (20, 40):
        with pytest.raises(Interrupted):
            run(accurate, settings, checkpoint=checkpoint, stop_at=stop)
        assert checkpoint.exists()
    resumed, found = run(accurate, settings, checkpoint=checkpoint)
    assert found == expected
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_a_slow_fit_is_saved_by_the_clock(
    accurate: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "fit.safetensors"
    rarely = SETTINGS.model_copy(update={"save_every": 1000})
    with pytest.raises(Interrupted):
        run(accurate, rarely, checkpoint=checkpoint, stop_at=20)
    assert not checkpoint.exists()
    monkeypatch.setattr(fitting, "SAVE_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        run(accurate, rarely, checkpoint=checkpoint, stop_at=20)
    assert checkpoint.exists()


def test_a_damaged_checkpoint_is_as_good_as_none(accurate: Frames, tmp_path: Path) -> None:
    checkpoint = tmp_path / "fit.safetensors"
    _, expected = run(accurate, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    assert run(accurate, checkpoint=checkpoint)[1] == expected
    checkpoint.write_bytes(whole[: len(whole) // 2])
    assert run(accurate, checkpoint=checkpoint)[1] == expected


OTHERS: dict[str, tuple[dict[str, object], str]] = {
    "rate": ({"settings": SETTINGS.model_copy(update={"rate": 1e-3})}, "rate was 0.003, now 0.001"),
    "seed": ({"settings": SETTINGS.model_copy(update={"seed": 1})}, "seed was 0, now 1"),
    "optimiser": ({"settings": SETTINGS.model_copy(update={"optimiser": "muon"})}, "now muon"),
    "size": ({"model": MODEL.model_copy(update={"channels": 8})}, "the model is another"),
    "same size": ({"model": MODEL.model_copy(update={"cutoff": 4.0})}, "the model is another"),
}


@pytest.mark.parametrize(("change", "words"), OTHERS.values(), ids=OTHERS)
def test_the_checkpoint_of_another_fit_is_refused(
    change: dict[str, Any], words: str, accurate: Frames, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "fit.safetensors"
    with pytest.raises(Interrupted):
        run(accurate, checkpoint=checkpoint, stop_at=20)
    kept = checkpoint.read_bytes()
    with pytest.raises(InputError, match=f"fit.safetensors is the .*{words}.*delete it"):
        run(accurate, **change, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == kept


def test_a_checkpoint_of_other_data_is_refused_and_rounding_is_not(
    accurate: Frames, tmp_path: Path
) -> None:
    """Rounding as by other threads; a label that is another; a geometry to train or judge on."""
    checkpoint = tmp_path / "fit.safetensors"
    _, expected = run(accurate, checkpoint=checkpoint)
    forces = accurate.forces_A3 * np.random.default_rng(0).normal(1, 1e-6, (48, 3))
    assert run(replace(accurate, forces_A3=forces), checkpoint=checkpoint)[1] == expected
    forces[accurate.atoms_of(1)] *= 1.1
    with pytest.raises(InputError, match="the training set is another"):
        run(replace(accurate, forces_A3=forces), checkpoint=checkpoint)
    for place, words in ((1, "the training set is"), (0, "the validation set is")):
        positions = accurate.positions_A3.copy()
        positions[accurate.atoms_of(place)] += 1e-4
        with pytest.raises(InputError, match=f": {words} another[.]"):
            run(replace(accurate, positions_A3=positions), checkpoint=checkpoint)


def test_when_it_is_saved_changes_no_fit(accurate: Frames, tmp_path: Path) -> None:
    checkpoint = tmp_path / "fit.safetensors"
    _, expected = run(accurate, checkpoint=checkpoint)
    often = SETTINGS.model_copy(update={"save_every": 1, "compiled": False})
    assert run(accurate, often, checkpoint=checkpoint)[1] == expected


def test_a_checkpoint_of_an_older_version_goes_on(accurate: Frames, tmp_path: Path) -> None:
    """It has no fingerprint."""
    checkpoint = tmp_path / "fit.safetensors"
    _, expected = run(accurate, checkpoint=checkpoint)
    kept = read_checkpoint(checkpoint)
    assert kept is not None
    tensors, notes = kept
    del notes["fingerprint"]
    write_tensors(tensors, checkpoint, notes)
    assert run(accurate, checkpoint=checkpoint)[1] == expected
    write_tensors(tensors, checkpoint)
    with pytest.raises(InputError, match="is no checkpoint"):
        run(accurate, checkpoint=checkpoint)


def test_a_gradient_that_is_no_number_ends_with_an_error(
    accurate: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the loss still is one, at the last step, with nothing to validate by."""
    monkeypatch.setattr(fitting.FlatParameters, "clip", lambda *_: math.nan)
    with pytest.raises(TrainingDiverged, match="gradient nan"):
        run(accurate, SETTINGS.model_copy(update={"steps": 1}))


def test_what_diverges_ends_with_an_error(accurate: Frames) -> None:
    settings = SETTINGS.model_copy(update={"rate": 1e30, "norm": "l2", "steps": 200})
    with pytest.raises(TrainingDiverged, match="lower the rate"):
        run(accurate, settings)


def test_a_prediction_that_is_no_number_is_an_error_in_validation(accurate: Frames) -> None:
    force_field = fresh(accurate)
    graphs = graphs_of(accurate, MODEL.cutoff, 1.0)
    assert math.isfinite(fitting.force_error(force_field.network, graphs, 4))
    with torch.no_grad():
        force_field.network.readout[2].weight[0, 0] = math.nan
    assert math.isnan(fitting.force_error(force_field.network, graphs, 4))


def test_golden_loss(accurate: Frames) -> None:
    """A change of numerics shows here: update only with a reason in LOG.md."""
    _, result = run(accurate)
    losses = [line.loss for line in result.history]
    assert losses == pytest.approx(GOLDEN, rel=2e-3)


@pytest.mark.parametrize("products", [0, 4])
def test_golden_loss_of_the_default_model_and_optimiser(accurate: Frames, products: int) -> None:
    """Few steps: rounding grows by a factor of ten in twenty."""
    model = NequIPSettings(layers=2, channels=(8, 4, 2), products=products, elements=(1, 6, 8))
    muon = {"optimiser": "muon", "rate": 0.04, "weight_decay": 0.0, "steps": 12}
    settings = SETTINGS.model_copy(update={**muon, "evaluate_every": 3})
    _, result = run(accurate, settings, model=model)
    losses = [line.loss for line in result.history]
    assert losses == pytest.approx(GOLDEN_DEFAULT[products], rel=2e-3)


GOLDEN = [0.715041, 0.713819, 0.710401, 0.706531]
GOLDEN_DEFAULT = {
    0: [0.749278, 0.596897, 0.539785, 0.558482],
    4: [0.716792, 0.560905, 0.487008, 0.482042],
}


def test_two_workers_sum_to_the_gradient_of_one(
    accurate: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = graphs_of(accurate, MODEL.cutoff, force_scale(accurate))

    def gradient(rank: int, workers: int) -> torch.Tensor:
        monkeypatch.setattr(fitting, "rank", lambda: rank)
        monkeypatch.setattr(fitting, "workers", lambda: workers)
        monkeypatch.setattr(fitting, "sum_over_workers", lambda value: value)
        state = SETTINGS.model_copy(update={"batch": 5, "clip": 1e9})
        once = fitting._Fit(fresh(accurate).network, graphs, None, state, 1.0)
        once.step()
        return once.flat.gradient.clone()

    alone = gradient(0, 1)
    torch.testing.assert_close(gradient(0, 2) + gradient(1, 2), alone, rtol=1e-4, atol=1e-7)
    assert (gradient(0, 2) - alone).abs().max() > 1e-4


def test_another_seed_takes_another_way(accurate: Frames) -> None:
    _, one = run(accurate)
    _, two = run(accurate, SETTINGS.model_copy(update={"seed": 1}))
    assert one.history != two.history


def test_early_stopping_keeps_the_best_average(accurate: Frames) -> None:
    hot = SETTINGS.model_copy(
        update={"rate": 0.3, "steps": 400, "evaluate_every": 1, "patience": 3, "clip": 1e9}
    )
    _, result = run(accurate, hot)
    errors = [line.validation for line in result.history]
    assert result.steps < 400
    assert result.best_step == result.steps - 3
    assert result.validation == min(errors) == errors[result.best_step - 1]


def test_rate_warms_up_and_decays() -> None:
    settings = FitSettings(steps=100, warm_up=10, rate=1.0, final_rate=0.1)
    assert rate_at(0, settings) == pytest.approx(0.1)
    assert rate_at(10, settings) == pytest.approx(1.0)
    assert rate_at(55, settings) == pytest.approx(0.55)
    assert rate_at(100, settings) == pytest.approx(0.1)


def test_it_learns(accurate: Frames, unseen: Frames) -> None:
    start = np.abs(fresh(accurate).predict(unseen)[1] - unseen.forces_A3).mean()
    longer = SETTINGS.model_copy(update={"steps": 300, "warm_up": 20})
    force_field, result = run(accurate, longer)
    end = np.abs(force_field.predict(unseen)[1] - unseen.forces_A3).mean()
    assert end < 0.4 * start
    assert math.isfinite(result.validation)


def test_saved_force_fields_predict_the_same(accurate: Frames, tmp_path: Path) -> None:
    force_field = fresh(accurate)
    force_field.save(tmp_path / "ff")
    force_field.save(tmp_path / "ff")
    loaded = ForceField.load(tmp_path / "ff")
    assert loaded.metadata == force_field.metadata
    for ours, theirs in zip(
        force_field.predict(accurate), loaded.predict(accurate, batch=5), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ff"]


def test_a_disk_that_takes_no_more_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Make room on the disk"):
        write_tensors({"a": torch.zeros(3)}, tmp_path / "gone" / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
