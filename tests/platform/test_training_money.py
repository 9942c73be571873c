"""A budget that bought too little to train on ends with a sentence, before training begins."""

import pytest

from forgefield.platform.training import refuse_untrainable
from forgefield.storage.errors import BudgetExhausted
from forgefield.storage.frames import Frames
from forgefield.storage.records import Label, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import CCSD, labelled, make_job


def bought(*purposes: Purpose) -> Frames:
    jobs = [make_job(number, CCSD, purpose) for number, purpose in enumerate(purposes)]
    labels = [labelled(job).result for job in jobs]
    return from_stored(
        [
            StoredFrame(seq, job, label, 1)
            for seq, (job, label) in enumerate(zip(jobs, labels, strict=True))
            if isinstance(label, Label)
        ]
    )


@pytest.mark.parametrize(
    ("purposes", "said"),
    [
        ((Purpose.CALIBRATION, Purpose.HOLDOUT), "bought 1 ccsd labels to train on and 0 for"),
        ((Purpose.VALIDATION, Purpose.HOLDOUT), "bought 0 ccsd labels to train on and 1 for"),
        ((), "16ccsd bought 0"),
    ],
)
def test_too_little_is_said(purposes: tuple[Purpose, ...], said: str) -> None:
    with pytest.raises(BudgetExhausted, match=said):
        refuse_untrainable(bought(*purposes), Tier.CCSD, "16ccsd")


def test_one_of_each_is_enough() -> None:
    frames = bought(Purpose.CALIBRATION, Purpose.VALIDATION)
    refuse_untrainable(frames, Tier.CCSD, "16ccsd")
