"""Pairs of labels by two methods at one geometry."""

from dataclasses import replace

import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.pairs import paired
from forgefield.storage.records import Job, Label, Method, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import CCSD, XTB, labelled, make_job


def frames_of(jobs: list[Job]) -> Frames:
    labels = [labelled(job).result for job in jobs]
    return from_stored(
        [
            StoredFrame(seq, job, label, 1)
            for seq, (job, label) in enumerate(zip(jobs, labels, strict=True))
            if isinstance(label, Label)
        ]
    )


def test_pairs_follow_the_cheap_frames() -> None:
    cheap = [make_job(number) for number in (5, 1, 3, 2)]
    dear = [replace(make_job(number), method=CCSD) for number in (2, 9, 5)]
    frames = frames_of([dear[0], *cheap, *dear[1:]])
    assert paired(frames, XTB, CCSD).tolist() == [[1, 6], [4, 0]]
    assert paired(frames, CCSD, XTB).tolist() == [[0, 4], [6, 1]]


def test_the_first_of_two_labels_counts_and_none_is_an_empty_array() -> None:
    frames = frames_of([make_job(1), make_job(1), replace(make_job(2), method=CCSD)])
    assert paired(frames, XTB, CCSD).shape == (0, 2)
    twice = frames_of([make_job(1), make_job(1), replace(make_job(1), method=CCSD)])
    assert paired(twice, XTB, CCSD).tolist() == [[0, 2]]


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"no labels by B3LYP.*some by GFN2-xTB"):
        paired(frames_of([make_job(1)]), Method(Tier.DFT, "B3LYP"), XTB)
