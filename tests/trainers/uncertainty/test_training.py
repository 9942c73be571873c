"""Committees that are trained: together against one by one, and what disagreement then tells."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError, TrainingDiverged
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.fitting.fit import fit
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import force_scale, reference_energies, reference_sums
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty import (
    Committee,
    calibrate,
    fit_committee,
    reliability,
    training,
)
from forgefield.trainers.uncertainty.together import _Together, fit_together

MODEL = EGNNSettings(layers=2, channels=16, radial=8, elements=(1, 6, 8))
MakeFrames = Callable[..., list[StoredFrame]]
STEPS = FitSettings(
    steps=23, batch=5, warm_up=4, evaluate_every=5, rate=3e-3, ema=0.9, clip=0.5, rho=0.1
)


def about(frames: Frames) -> Metadata:
    """A force field's description with the scale and references of `frames`."""
    return Metadata(
        method="m",
        scale=force_scale(frames),
        references=reference_energies(frames),
        model=MODEL,
        seed=3,
    )


def graphs(frames: Frames) -> GraphSet:
    told = about(frames)
    energy_F = frames.energy_F - reference_sums(frames, told.references)
    return GraphSet(frames, 5.0, energy_F=energy_F, scale=told.scale, dtype=torch.float64)


@pytest.mark.parametrize("validated", [True, False])
def test_networks_trained_together_are_those_trained_alone(
    accurate: Frames, unseen: Frames, validated: bool
) -> None:
    """Seeds, draws, clipping, moving average and the choice of the best step included."""
    draw_MF = np.random.default_rng(0).integers(0, len(accurate), size=(3, 11))
    judged = graphs(unseen) if validated else None
    told = [about(accurate).model_copy(update={"seed": seed}) for seed in range(3)]
    together = [ForceField.fresh(each, dtype=torch.float64).network for each in told]
    alone = [ForceField.fresh(each, dtype=torch.float64).network for each in told]
    errors_M = fit_together(together, graphs(accurate), judged, STEPS, draw_MF=draw_MF)
    before = ForceField.fresh(told[0], dtype=torch.float64).network
    for place, network in enumerate(alone):
        own = GraphSet(
            accurate.select(draw_MF[place]),
            5.0,
            energy_F=(accurate.energy_F - reference_sums(accurate, told[0].references))[
                draw_MF[place]
            ],
            scale=told[0].scale,
            dtype=torch.float64,
        )
        seeded = STEPS.model_copy(update={"seed": place})
        result = fit(network, own, judged, seeded, scale=1.0)
        assert float(errors_M[place]) == pytest.approx(result.validation, rel=1e-9, nan_ok=True)
        pairs = zip(network.parameters(), together[place].parameters(), strict=True)
        for ours, theirs in pairs:
            torch.testing.assert_close(theirs, ours, rtol=1e-7, atol=1e-9)
    moved = zip(before.parameters(), alone[0].parameters(), strict=True)
    assert max(float((one - other).detach().abs().max()) for one, other in moved) > 1e-3


def test_patience_stops_when_none_gets_better(accurate: Frames, unseen: Frames) -> None:
    still = STEPS.model_copy(update={"rate": 1e-30, "steps": 5000, "patience": 2, "ema": 0.0})
    told = [about(accurate).model_copy(update={"seed": seed}) for seed in range(2)]
    networks = [ForceField.fresh(each).network.double() for each in told]
    run = _Together(networks, graphs(accurate), graphs(unseen), still, None)
    while not run.finished:
        run.step()
        if run.steps % 5 == 0:
            run.evaluate()
    assert run.steps == 15


@pytest.fixture(scope="module", name="trained")
def trained_fixture(make_frames: MakeFrames) -> tuple[Committee, Frames]:
    """Four members trained on 12 frames, and the 24 validation frames that stopped them."""
    train = from_stored(make_frames(Tier.CCSD, 12, 1))
    judged = from_stored(make_frames(Tier.CCSD, 24, 2, Purpose.VALIDATION))
    settings = STEPS.model_copy(
        update={"steps": 150, "evaluate_every": 50, "clip": 10.0, "rho": 0.01, "rate": 5e-3}
    )
    return fit_committee(about(train), train, judged, settings, members=4, bootstrap=True), judged


def test_disagreement_tells_errors_on_frames_that_nobody_saw(
    trained: tuple[Committee, Frames], make_frames: MakeFrames
) -> None:
    members, judged = trained
    opinion = members.judge(judged)
    learnt = calibrate(opinion.forces_A3, opinion.spread_A, judged)
    near = from_stored(make_frames(Tier.CCSD, 60, 7))
    test = members.judge(near)
    found = reliability(test.forces_A3, learnt.sigma(test.spread_A), near)
    assert found.rank_correlation > 0.3
    assert found.nll < found.nll_constant
    assert found.miscalibration_area < 0.12
    uncalibrated = reliability(test.forces_A3, test.spread_A / 3**0.5, near)
    assert found.nll < uncalibrated.nll
    assert found.miscalibration_area < uncalibrated.miscalibration_area


def test_members_are_reproducible_and_bootstrap_draws_differ(accurate: Frames) -> None:
    first, second = (
        fit_committee(about(accurate), accurate, None, STEPS, members=2, bootstrap=True, together=t)
        for t in (False, False)
    )
    np.testing.assert_array_equal(first.predict_each(accurate)[1], second.predict_each(accurate)[1])
    third = fit_committee(about(accurate), accurate, None, STEPS, members=2)
    assert np.abs(third.predict_each(accurate)[1] - first.predict_each(accurate)[1]).max() > 1e-4
    assert [member.metadata.seed for member in first.members] == [3, 4]


@pytest.fixture
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("bootstrap", [True, False])
def test_a_committee_trained_together_is_the_one_trained_one_by_one(
    accurate: Frames, bootstrap: bool
) -> None:
    stacked, looped = (
        fit_committee(
            about(accurate), accurate, None, STEPS, members=2, bootstrap=bootstrap, together=t
        )
        for t in (True, False)
    )
    for ours, theirs in zip(
        stacked.predict_each(accurate), looped.predict_each(accurate), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    forces_MA3 = looped.predict_each(accurate)[1]
    assert np.abs(forces_MA3[0] - forces_MA3[1]).max() > 1e-3


def test_what_cannot_be_trained_together_is_refused(
    accurate: Frames, make_frames: MakeFrames
) -> None:
    muon = STEPS.model_copy(update={"optimiser": "muon", "rate": 0.01})
    with pytest.raises(InputError, match=r"by adamw alone, and the optimiser is muon"):
        fit_committee(about(accurate), accurate, None, muon, members=2, together=True)
    bent = from_stored(make_frames(Tier.CCSD, 5, 9, molecule="bent"))
    both = Frames.concatenate([accurate, bent])
    with pytest.raises(InputError, match="several sizes can't be trained on together"):
        fit_committee(about(accurate), both, None, STEPS, members=2, together=True)
    lost = replace(accurate, energy_F=np.full(len(accurate), 1e300))
    with pytest.raises(TrainingDiverged, match="at step 1: lower the rate"):
        fit_committee(about(accurate), lost, None, STEPS, members=2, together=True)


def test_checkpoints_are_taken_by_the_same_committee_alone(
    accurate: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its second member; another rate, other labels and other draws start anew."""
    saving = STEPS.model_copy(update={"save_every": 20})
    calls = 0

    def second_dies(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "fit", second_dies)

    def train(frames: Frames, **changes: object) -> Committee:
        settings = saving.model_copy(update=changes)
        return fit_committee(about(accurate), frames, None, settings, members=2, work=tmp_path)

    with pytest.raises(KeyboardInterrupt):
        train(accurate)
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == ["member-00.safetensors"]
    stiffer = replace(accurate, forces_A3=1.5 * accurate.forces_A3)
    for frames, changes in ((stiffer, {}), (accurate, {"rate": 1e-3})):
        alone = fit_committee(
            about(accurate), frames, None, saving.model_copy(update=changes), members=2
        )
        forces_MA3 = train(frames, **changes).predict_each(accurate)[1]
        np.testing.assert_array_equal(forces_MA3, alone.predict_each(accurate)[1])
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    straight = fit_committee(about(accurate), accurate, None, saving, members=2)
    resumed = train(accurate)
    np.testing.assert_array_equal(
        resumed.predict_each(accurate)[1], straight.predict_each(accurate)[1]
    )
    assert not list(tmp_path.iterdir())


def test_the_hold_out_is_refused(accurate: Frames, make_frames: MakeFrames) -> None:
    held = from_stored(make_frames(Tier.CCSD, 3, 5, Purpose.HOLDOUT))
    for train, judged in ((held, None), (accurate, held)):
        with pytest.raises(InputError, match="may not read the hold-out"):
            fit_committee(about(accurate), train, judged, STEPS, members=2)
    with pytest.raises(InputError, match="2 members or more"):
        fit_committee(about(accurate), accurate, None, STEPS, members=1)


def test_frames_that_judge_nothing_are_refused(accurate: Frames) -> None:
    """Without an error to compare, every member would be the best before its first step."""
    bare = replace(accurate, forces_A3=np.full_like(accurate.forces_A3, np.nan))
    for train, judged, why in (
        (accurate, Frames.empty(), "validation frames of a committee are no frames"),
        (accurate, bare, "validation frames of a committee are frames without forces"),
        (Frames.empty(), accurate, "train frames of a committee are no frames"),
    ):
        with pytest.raises(InputError, match=why):
            fit_committee(about(accurate), train, judged, STEPS, members=2)
    told = about(accurate)
    network = ForceField.fresh(told, dtype=torch.float64).network
    judged = graphs(replace(accurate, forces_A3=np.full_like(accurate.forces_A3, np.nan)))
    with pytest.raises(TrainingDiverged, match="validation frames is nan"):
        fit(network, graphs(accurate), judged, STEPS, scale=told.scale)
