"""Committees that are trained: together against one by one, and what disagreement then tells."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.fitting.fit import fit
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import force_scale, reference_energies, reference_sums
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty import Committee, calibrate, fit_committee, reliability
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


def graphs(frames: Frames, weight_F: np.ndarray | None = None) -> GraphSet:
    told = about(frames)
    energy_F = frames.energy_F - reference_sums(frames, told.references)
    return GraphSet(
        frames, 5.0, energy_F=energy_F, weight_F=weight_F, scale=told.scale, dtype=torch.float64
    )


@pytest.mark.parametrize("validated", [True, False])
def test_networks_trained_together_are_those_trained_alone(
    accurate: Frames, unseen: Frames, validated: bool
) -> None:
    """Weights, clipping, moving average and the choice of the best step included."""
    random = np.random.default_rng(0)
    weight_MF = random.integers(0, 3, size=(3, len(accurate))).astype(np.float64)
    judged = graphs(unseen) if validated else None
    told = [about(accurate).model_copy(update={"seed": seed}) for seed in range(3)]
    together = [ForceField.fresh(each, dtype=torch.float64).network for each in told]
    alone = [ForceField.fresh(each, dtype=torch.float64).network for each in told]
    errors_M = fit_together(together, graphs(accurate), judged, STEPS, weight_MF=weight_MF)
    before = ForceField.fresh(told[0], dtype=torch.float64).network
    for place, network in enumerate(alone):
        own = graphs(accurate, weight_MF[place])
        result = fit(network, own, judged, STEPS, scale=1.0)
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
    np.testing.assert_array_equal(first.predict(accurate)[1], second.predict(accurate)[1])
    third = fit_committee(about(accurate), accurate, None, STEPS, members=2)
    assert np.abs(third.predict(accurate)[1] - first.predict(accurate)[1]).max() > 1e-4
    assert [member.metadata.seed for member in first.members] == [3, 4]
    stacked = fit_committee(about(accurate), accurate, None, STEPS, members=2, together=True)
    assert np.isfinite(stacked.judge(accurate).spread_A).all()


def test_the_hold_out_is_refused(accurate: Frames, make_frames: MakeFrames) -> None:
    held = from_stored(make_frames(Tier.CCSD, 3, 5, Purpose.HOLDOUT))
    for train, judged in ((held, None), (accurate, held)):
        with pytest.raises(InputError, match="may not read the hold-out"):
            fit_committee(about(accurate), train, judged, STEPS, members=2)
    with pytest.raises(InputError, match="2 members or more"):
        fit_committee(about(accurate), accurate, None, STEPS, members=1)
