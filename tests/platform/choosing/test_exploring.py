"""Exploring with real models: trained in seconds, untrained, and forced to disagree."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import SMALL
from spring_frames import NUMBERS, SHAPE, springs

from forgefield.platform.choosing.boundaries import boundaries_of
from forgefield.platform.choosing.candidates import Explored, Source
from forgefield.platform.choosing.exploring import ExploreSettings, explore
from forgefield.platform.choosing.picking import choose
from forgefield.platform.choosing.shapes import nearest, shape_features
from forgefield.platform.choosing.surfaces import Surface, calibrated_alarm
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Molecule, Purpose
from forgefield.storage.settled_frames import bare_frames
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings, NequIPSettings
from forgefield.trainers.references import force_scale, reference_energies
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty import fit_committee

MOLECULE = Molecule("methoxy", tuple(NUMBERS.tolist()), SHAPE)
BRIEF = ExploreSettings(walkers=6, length=200, temperatures=(300.0, 500.0), modes=30)
Fields = tuple[ForceField, ...]


def geometries(frames: Frames) -> Array:
    """Geometries (F, A, 3) with the atoms as in `NUMBERS`."""
    return frames.positions_A3.reshape(-1, len(NUMBERS), 3)


@pytest.fixture(scope="module")
def labelled() -> Frames:
    return springs(40, 1)


@pytest.fixture(scope="module")
def trained(labelled: Frames) -> Fields:
    """Three members of 250 steps each."""
    torch.set_num_threads(1)
    about = Metadata(
        method="springs",
        scale=force_scale(labelled),
        references=reference_energies(labelled),
        model=EGNNSettings(layers=2, channels=16, radial=8, elements=(1, 6, 8)),
    )
    fit = FitSettings(steps=250, batch=10, rate=5e-3, warm_up=20, ema=0.98, evaluate_every=50)
    return fit_committee(about, labelled, None, fit, members=3, bootstrap=True).members


@pytest.fixture(scope="module")
def explored(trained: Fields, labelled: Frames) -> Explored:
    pool = geometries(springs(20, 7))
    return explore(trained, MOLECULE, geometries(labelled), BRIEF, seed=5, pool_FA3=pool)


def test_a_small_model_finds_candidates_of_all_sources(explored: Explored) -> None:
    found = {source: int((explored.source_F == source.value).sum()) for source in Source}
    assert found[Source.OPENMM] == 20
    assert found[Source.MODES] > 15
    assert found[Source.MD] > 30
    assert np.isin(explored.temperature_F[explored.source_F == "md"], (300.0, 500.0)).all()


def test_disagreement_is_the_committees_own(explored: Explored, trained: Fields) -> None:
    forces_MFA3 = np.array(
        [
            each.predict(bare_frames(MOLECULE, explored.positions_FA3))[1].reshape(-1, 5, 3)
            for each in trained
        ]
    )
    spread_FA = np.sqrt(forces_MFA3.var(axis=0, ddof=1).sum(axis=2))
    np.testing.assert_allclose(explored.disagreement_F, spread_FA.max(axis=1), rtol=1e-3)


def test_nothing_unphysical_comes_out_of_an_untrained_model(labelled: Frames) -> None:
    """Its walkers fall apart: all of them are stopped before, whatever the temperature."""
    starts = geometries(labelled)
    settings = ExploreSettings(walkers=12, length=300, temperatures=(300.0, 3000.0), modes=50)
    inside = boundaries_of(MOLECULE.numbers, starts, settings.stretch)
    for model in (SMALL[NequIPSettings], SMALL[EGNNSettings]):
        about = Metadata(method="m", scale=30.0, references={1: 0, 6: 0, 8: 0}, model=model)
        both = [ForceField.fresh(about.model_copy(update={"seed": seed})) for seed in (0, 1)]
        pool = np.concatenate([starts[:5], np.full((1, 5, 3), np.nan), starts[:1] * 0.3])
        found = explore(both, MOLECULE, starts, settings, seed=1, pool_FA3=pool)
        assert "broken" in found.ending_W
        assert inside.hold(found.positions_FA3).all()
        assert (found.source_F == "openmm").sum() == 5
        assert found.dropped >= 2


def test_the_same_seed_explores_the_same(trained: Fields, labelled: Frames) -> None:
    short = BRIEF.model_copy(update={"length": 60.0})
    first, again, other = (
        explore(trained, MOLECULE, geometries(labelled), short, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.positions_FA3, again.positions_FA3)
    np.testing.assert_array_equal(first.disagreement_F, again.disagreement_F)
    assert np.abs(first.positions_FA3[:6] - other.positions_FA3[:6]).max() > 0.01


def test_a_committee_forced_to_disagree_alarms_at_once(trained: Fields, labelled: Frames) -> None:
    """One member twice as strong: every geometry is above an alarm calibrated without it."""
    validation = springs(20, 3)
    alarm = calibrated_alarm(trained, validation, 2.0)
    strong = trained[1].metadata.model_copy(update={"scale": 20 * trained[1].metadata.scale})
    forced = (trained[0], replace(trained[1], metadata=strong), trained[2])
    starts = geometries(labelled)
    calm, found = (
        explore(fields, MOLECULE, starts, BRIEF, seed=5, alarm=alarm)
        for fields in (trained, forced)
    )
    assert (calm.ending_W == "alarmed").sum() < 6
    assert set(found.ending_W) == {"alarmed"}
    assert found.time_W.max() == pytest.approx(BRIEF.every)
    assert found.disagreement_F.max(initial=0.0) <= BRIEF.hopeless_factor * alarm
    assert calm.alarmed_F.sum() == (calm.disagreement_F > alarm).sum()


def test_the_alarm_is_quiet_on_nine_validation_frames_in_ten(trained: Fields) -> None:
    validation = springs(40, 3)
    alarm = calibrated_alarm(trained, validation, 1.0)
    spread_F = Surface(trained, MOLECULE).disagreement(geometries(validation))
    worst_F = np.sort(spread_F)
    assert worst_F[35] <= alarm * (1 + 1e-5)
    assert worst_F[36] >= alarm * (1 - 1e-5)
    assert calibrated_alarm(trained, validation, 3.0) == pytest.approx(3 * alarm)
    assert np.isinf(calibrated_alarm(trained[:1], validation, 2.0))
    kept = replace(validation, purpose_F=np.full(40, int(Purpose.HOLDOUT)))
    with pytest.raises(InputError, match="40 are of the hold-out"):
        calibrated_alarm(trained, kept, 2.0)


def test_one_force_field_explores_without_alarm(trained: Fields, labelled: Frames) -> None:
    short = BRIEF.model_copy(update={"length": 60.0})
    found = explore(trained[:1], MOLECULE, geometries(labelled), short, seed=0)
    assert len(found)
    assert not found.disagreement_F.any()


def test_candidates_are_chosen_from_end_to_end(explored: Explored, labelled: Frames) -> None:
    features = shape_features(MOLECULE.numbers, explored.positions_FA3)
    known = shape_features(MOLECULE.numbers, geometries(labelled))
    picks = choose(features, explored.disagreement_F, known, 6)
    assert len(picks) == 6
    chosen = [pick.place for pick in picks]
    for values in (explored.disagreement_F, nearest(features, known)):
        assert values[chosen].mean() > values.mean()


def test_what_cannot_be_explored_is_refused(trained: Fields, labelled: Frames) -> None:
    boxed = replace(MOLECULE, cell_33=np.eye(3) * 9)
    with pytest.raises(InputError, match="periodic box"):
        explore(trained, boxed, geometries(labelled), BRIEF, seed=0)
    with pytest.raises(InputError, match="train one first"):
        explore((), MOLECULE, geometries(labelled), BRIEF, seed=0)
    with pytest.raises(ValueError, match="every 5 fs must lie between"):
        ExploreSettings(every=5, length=2)


def test_exploring_goes_to_the_temperatures_of_the_sampling_unless_told_otherwise() -> None:
    told = ExploreSettings(temperatures=(500.0,))
    assert told.at((300.0,)).kelvins == (500.0,)
    assert ExploreSettings().at((300.0,)).kelvins == (300.0,)
    with pytest.raises(InputError, match=r"explore\.temperatures"):
        _ = ExploreSettings().kelvins
