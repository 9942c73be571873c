"""Keys of many labels at once are those of each by itself, and never change."""

from dataclasses import replace

import numpy as np

from forgefield.storage.frames import hex_keys
from forgefield.storage.records import Configuration, Job, Label, Purpose
from forgefield.storage.settled_frames import StoredFrame, from_stored, to_stored
from forgefield.storage.testing import CCSD, XTB, labelled, make_job


def settled(job: Job) -> StoredFrame:
    label = labelled(job).result
    assert isinstance(label, Label)
    return StoredFrame(1, job, label, 7)


def test_keys_of_many_are_those_of_each() -> None:
    jobs = [make_job(number, (XTB, CCSD)[number % 2]) for number in range(20)]
    flat = replace(jobs[0].configuration, positions_A3=-np.zeros((3, 3)), charge=-1)
    boxed = replace(flat, cell_33=np.diag([9.0, 8.0, -0.0]), multiplicity=2)
    jobs += [replace(jobs[0], configuration=each) for each in (flat, boxed)]
    frames = from_stored([settled(job) for job in jobs])
    assert hex_keys(frames.key_F) == [job.key() for job in jobs]
    assert hex_keys(frames.geometry_F) == [job.configuration.key() for job in jobs]
    assert len(set(hex_keys(frames.geometry_F))) == len(jobs)


def test_keys_stay_what_they_were() -> None:
    """Another hash would buy every label of every run again."""
    water = Configuration("water", (8, 1, 1), np.arange(9.0).reshape(3, 3) / 7)
    assert water.key() == "bffa03e3c3cca281c9e82cdc56f71240"
    assert replace(water, cell_33=np.eye(3)).key() == "8b96ae2da7110f545392361cce4ad06b"
    assert Job(water, CCSD, Purpose.TRAIN).key() == "2d6119d5c887d69c8514a9a86b88c9a4"


def test_what_is_equal_to_the_tolerance_has_the_same_key() -> None:
    water = Configuration("water", (8, 1, 1), np.arange(9.0).reshape(3, 3) / 7)
    near = replace(
        water, numbers=tuple(np.array([8, 1, 1])), positions_A3=water.positions_A3 + 1e-11
    )
    assert near.key() == water.key()
    assert replace(water, positions_A3=water.positions_A3 + 1e-7).key() != water.key()
    assert replace(water, charge=1).key() != water.key()
    assert replace(water, positions_A3=-np.zeros((3, 3))).key() == (
        replace(water, positions_A3=np.zeros((3, 3))).key()
    )


def test_frames_come_back_as_they_were_settled() -> None:
    """With box, stress and diagnostics, and without forces."""
    plain = settled(make_job(0, CCSD))
    shape = replace(plain.job.configuration, cell_33=9 * np.eye(3), charge=1, multiplicity=2)
    origin = replace(plain.label.provenance, diagnostics={"t1": 0.01})
    rich = replace(
        plain,
        seq=2,
        job=replace(plain.job, configuration=shape, purpose=Purpose.HOLDOUT),
        label=replace(plain.label, stress_33=np.eye(3), forces_A3=None, provenance=origin),
    )
    frames = from_stored([plain, rich])
    for at, frame in enumerate((plain, rich)):
        back = to_stored(frames, at)
        assert back.job.key() == frame.job.key()
        assert (back.seq, back.job.purpose, back.cost_micro) == (at + 1, frame.job.purpose, 7)
        assert back.label.energy == frame.label.energy
        assert back.label.provenance == frame.label.provenance
        for mine, theirs in (
            (back.label.forces_A3, frame.label.forces_A3),
            (back.label.stress_33, frame.label.stress_33),
        ):
            assert (mine is None) == (theirs is None)
            if mine is not None and theirs is not None:
                np.testing.assert_array_equal(mine, theirs)
