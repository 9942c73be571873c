"""Committees: stacked against one by one, spreads against their formula, physics, storage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.transform import Rotation

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings, NequIPSettings
from forgefield.trainers.uncertainty import Calibration, Committee
from forgefield.trainers.uncertainty.committee import calibrated, of_folders, opinion
from forgefield.trainers.uncertainty.stacked import stack

ELEMENTS = (1, 6, 8)
SMALL: dict[str, ModelSettings] = {
    "egnn": EGNNSettings(layers=2, channels=8, elements=ELEMENTS),
    "nequip": NequIPSettings(layers=2, channels=(8, 4, 4), elements=ELEMENTS),
}


def committee(
    model: ModelSettings, members: int = 3, dtype: torch.dtype = torch.float64
) -> Committee:
    """Untrained members, with scales and references of their own."""
    found = []
    for seed in range(members):
        references = {1: -13.0 - seed, 6: -1000.0, 8: -2000.0}
        about = Metadata(
            method="m", scale=1.0 + 0.5 * seed, references=references, model=model, seed=seed
        )
        found.append(ForceField.fresh(about, dtype=dtype))
    return Committee(tuple(found))


@pytest.mark.parametrize("kind", SMALL)
def test_stacked_members_say_what_they_say_alone(kind: str, unseen: Frames) -> None:
    members = committee(SMALL[kind])
    energy_MF, forces_MA3 = members.predict_each(unseen, stacked=True, batch=25)
    alone = [member.predict(unseen) for member in members.members]
    for place, (energy_F, forces_A3) in enumerate(alone):
        np.testing.assert_allclose(energy_MF[place], energy_F, rtol=0, atol=1e-10)
        np.testing.assert_allclose(forces_MA3[place], forces_A3, rtol=0, atol=1e-11)
    assert np.abs(forces_MA3[0] - forces_MA3[1]).max() > 1e-3
    again = members.predict_each(unseen)
    np.testing.assert_allclose(again[1], forces_MA3, rtol=0, atol=1e-11)


def test_single_precision_agrees_to_its_noise(unseen: Frames) -> None:
    members = committee(SMALL["egnn"], dtype=torch.float32)
    stacked, looped = (members.predict_each(unseen, stacked=each)[1] for each in (True, False))
    assert np.abs(stacked - looped).max() < 1e-5 * np.abs(looped).max()


def test_spreads_are_standard_deviations(unseen: Frames) -> None:
    random = np.random.default_rng(0)
    energy_MF = random.normal(size=(4, len(unseen)))
    forces_MA3 = random.normal(size=(4, len(unseen.numbers), 3))
    found = opinion(energy_MF, forces_MA3, unseen)
    gap_MA3 = forces_MA3 - forces_MA3.mean(axis=0)
    spread_A = np.sqrt((np.linalg.norm(gap_MA3, axis=2) ** 2).sum(axis=0) / 3)
    np.testing.assert_allclose(found.spread_A, spread_A)
    per_frame = spread_A.reshape(len(unseen), 4)
    np.testing.assert_allclose(found.spread_F, np.sqrt((per_frame**2).mean(axis=1)))
    np.testing.assert_allclose(found.worst_F, per_frame.max(axis=1))
    np.testing.assert_allclose(found.energy_spread_F, np.std(energy_MF, axis=0, ddof=1))


@pytest.mark.parametrize("kind", SMALL)
def test_disagreement_does_not_turn_with_the_molecule(kind: str, unseen: Frames) -> None:
    members = committee(SMALL[kind])
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = replace(unseen, positions_A3=unseen.positions_A3 @ turn.T)
    before, after = members.judge(unseen), members.judge(turned, stacked=True)
    np.testing.assert_allclose(after.spread_A, before.spread_A, atol=1e-10)
    np.testing.assert_allclose(after.forces_A3, before.forces_A3 @ turn.T, atol=1e-10)


def test_mean_forces_are_those_of_the_mean_energy(unseen: Frames) -> None:
    members = committee(SMALL["nequip"])
    one, step = unseen.select(np.arange(1)), 1e-4
    slope = np.empty((4, 3))
    for atom in range(4):
        for axis in range(3):
            move = np.zeros((4, 3))
            move[atom, axis] = step
            ends = [replace(one, positions_A3=one.positions_A3 + s * move) for s in (1, -1)]
            up, down = (members.judge(end).energy_F[0] for end in ends)
            slope[atom, axis] = (up - down) / (2 * step)
    np.testing.assert_allclose(members.judge(one).forces_A3, -slope, atol=1e-6)


def test_a_folder_of_members_comes_back_as_it_was(tmp_path: Path, unseen: Frames) -> None:
    learnt = Calibration(scale=1.5, low=1.2, high=np.inf, power=1.0, floor=1e-3, frames=12)
    saved = replace(committee(SMALL["egnn"]), calibration=learnt)
    saved.save(tmp_path / "committee")
    saved.save(tmp_path / "committee")
    loaded = Committee.load(tmp_path / "committee")
    assert loaded.calibration == learnt
    for ours, theirs in zip(saved.predict_each(unseen), loaded.predict_each(unseen), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["committee"]
    members = [tmp_path / "committee" / f"member-{place:02d}" for place in range(3)]
    assert of_folders(members).members[2].metadata == saved.members[2].metadata
    with pytest.raises(InputError, match="holds no committee"):
        Committee.load(tmp_path)


def test_a_committee_is_opened_and_asked_like_one_force_field(
    tmp_path: Path, unseen: Frames
) -> None:
    members = committee(SMALL["egnn"])
    members.save(tmp_path / "committee")
    whole = load_force_field(tmp_path / "committee")
    alone = [load_force_field(tmp_path / "committee" / f"member-{k:02d}") for k in range(3)]
    both = [each.predict(unseen) for each in alone]
    for ours, theirs in zip(whole.predict(unseen), zip(*both, strict=True), strict=True):
        np.testing.assert_allclose(ours, np.mean(theirs, axis=0), atol=1e-12)
    assert [len(each.members) for each in (whole, *alone)] == [3, 1, 1, 1]
    assert whole.metadata.method == "m"
    with pytest.raises(InputError, match="holds no force field"):
        load_force_field(tmp_path)


def test_calibrated_on_validation_frames_it_knows_its_error_there(unseen: Frames) -> None:
    members = calibrated(committee(SMALL["egnn"]), unseen)
    found, known = members.judge(unseen), members.calibration
    assert known is not None
    assert known.frames == len(unseen)
    gap_A3 = found.forces_A3 - unseen.forces_A3
    expected = np.sqrt(np.mean(known.sigma(found.spread_A) ** 2))
    assert expected == pytest.approx(np.sqrt(np.mean(gap_A3**2)), rel=0.15)
    held = replace(unseen, purpose_F=np.full_like(unseen.purpose_F, int(Purpose.HOLDOUT)))
    with pytest.raises(InputError, match="hold-out"):
        calibrated(members, held)


def test_ase_gets_means_and_doubts_of_a_committee(tmp_path: Path, unseen: Frames) -> None:
    members = calibrated(committee(SMALL["nequip"]), unseen)
    members.save(tmp_path / "committee")
    one = unseen.select(np.arange(1))
    atoms = Atoms(one.numbers, one.positions_A3)
    atoms.calc = ForgefieldCalculator(tmp_path / "committee")
    said, known = members.judge(one), members.calibration
    assert known is not None
    assert atoms.get_potential_energy() == pytest.approx(said.energy_F[0])
    np.testing.assert_allclose(atoms.get_forces(), said.forces_A3, atol=1e-10)
    np.testing.assert_allclose(atoms.calc.force_spread, said.spread_A, atol=1e-10)
    error_A = known.expected_force_error(said.spread_A)
    np.testing.assert_allclose(atoms.calc.force_error, error_A, atol=1e-10)
    assert {"energy", "forces"} <= set(atoms.get_properties(["energy", "forces"]))
    kept = SinglePointCalculator(atoms, **atoms.calc.results)
    assert kept.get_potential_energy() == pytest.approx(said.energy_F[0])
    atoms.calc = ForgefieldCalculator(tmp_path / "committee" / "member-00")
    alone_A3 = members.members[0].predict(one)[1]
    np.testing.assert_allclose(atoms.get_forces(), alone_A3, atol=1e-10)
    assert atoms.calc.force_spread is None


def test_members_have_to_be_alike() -> None:
    first, second = (committee(model).members for model in SMALL.values())
    with pytest.raises(InputError, match="2 members or more, got 1"):
        Committee(first[:1])
    with pytest.raises(InputError, match="2 models of m"):
        Committee((first[0], second[0]))
    wider = EGNNSettings(layers=2, channels=8, elements=ELEMENTS, cutoff=4.0)
    other = committee(wider).members[0].network
    with pytest.raises(InputError, match="same basis, cutoff"):
        stack([first[0].network, other])
    with pytest.raises(InputError, match="one model"):
        stack([first[0].network, second[0].network])


def test_no_frames_no_opinion(unseen: Frames) -> None:
    none = unseen.select(np.empty(0, dtype=np.int64))
    found = committee(SMALL["egnn"]).judge(none)
    assert found.forces_A3.shape == (0, 3)
    assert len(found.spread_F) == len(found.energy_F) == 0


def test_where_a_force_field_is_is_said(tmp_path: Path) -> None:
    committee(SMALL["egnn"]).members[0].save(tmp_path / "run" / "force_field")
    (tmp_path / "bench" / "stages").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for place, why in (
        ("run", "is a run's folder; its force fields are in .*run/force_field"),
        ("bench", "is a benchmark's folder; its force fields are in .*stages"),
        ("run/force_field/weights.safetensors", "is a file; a force field is the folder"),
        ("empty", "holds no force field"),
        ("nowhere", "There is no folder"),
    ):
        with pytest.raises(InputError, match=why):
            load_force_field(tmp_path / place)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="finds no GPU"):
            load_force_field(tmp_path / "run" / "force_field", device="cuda")
