"""Labels that come in free, and labels that are taken back."""

from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.errors import AlreadyBought, InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.ledger.spool import read_spools, write_spool
from forgefield.storage.records import Configuration, Job, Label, Outcome, Purpose
from forgefield.storage.testing import CCSD, XTB, failed, labelled, make_job, make_jobs

BOX = np.array([[9.0, 0.0, 0.5], [0.0, 8.0, 0.0], [0.0, 0.0, 0.0]])
STRESS = np.arange(9.0).reshape(3, 3) / 7


def boxed(number: int) -> Outcome:
    """A label of a periodic box, with stress."""
    shape = make_job(number).configuration
    box = Configuration("box", shape.numbers, shape.positions_A3, 0, 1, BOX)
    label = labelled(Job(box, XTB, Purpose.TRAIN)).result
    assert isinstance(label, Label)
    whole = Label(label.energy, label.forces_A3, label.provenance, STRESS)
    return Outcome(Job(box, XTB, Purpose.TRAIN), whole)


def test_adopted_labels_are_frames_and_cost_nothing(ledger: Ledger, store: FrameStore) -> None:
    jobs = make_jobs(0, 3, CCSD)
    before = ledger.balance()
    assert ledger.adopt([labelled(job) for job in jobs], "rMD17, figshare 12672038") == 3
    assert ledger.balance() == before
    assert {s.state for s in ledger.job_states([j.key() for j in jobs]).values()} == {State.DONE}
    (row,) = ledger.tally()
    assert (row.done, row.adopted, row.spent_micro) == (3, 3, 0)
    assert np.isnan(row.mean_core_seconds)
    line = ledger.entries()[-1]
    assert (line.kind, line.amount_micro) == (EntryKind.IMPORT, 0)
    assert "3 labels from rMD17" in line.note
    assert pack(ledger, store) == 3
    assert load_frames(store.path).cost_F.tolist() == [0.0, 0.0, 0.0]
    assert ledger.verify(store.path) == []


def test_adopted_labels_leave_the_mean_cost_alone(ledger: Ledger) -> None:
    bought, free = make_jobs(0, 2)
    ledger.settle(ledger.reserve([bought], 500), [labelled(bought)], 300)
    ledger.adopt([labelled(free)], "a paper")
    (row,) = ledger.tally()
    assert (row.done, row.bought, row.adopted) == (2, 1, 1)
    assert row.mean_core_seconds == pytest.approx(300e-6, rel=1e-12)


def test_what_was_paid_for_stays_paid_for_whatever_is_withdrawn(ledger: Ledger) -> None:
    bought, free, again = make_jobs(0, 3)
    for job in (bought, again):
        ledger.settle(ledger.reserve([job], 500), [labelled(job)], 300)
    ledger.adopt([labelled(free)], "a paper")
    ledger.withdraw([free.key(), again.key()], "wrong")
    (row,) = ledger.tally()
    assert (row.done, row.bought, row.adopted, row.withdrawn) == (1, 2, 1, 2)
    ledger.settle(ledger.reserve([again], 500), [labelled(again)], 300)
    (row,) = ledger.tally()
    assert (row.done, row.bought, row.spent_micro) == (2, 3, 900)
    assert row.mean_core_seconds == pytest.approx(300e-6, rel=1e-12)


def test_adoption_takes_all_or_nothing(ledger: Ledger) -> None:
    done, running, new = make_jobs(0, 3)
    ledger.settle(ledger.reserve([done], 10), [labelled(done)], 10)
    ledger.reserve([running], 10)
    books = ledger.entries(), ledger.balance()
    for taken in (done, running):
        with pytest.raises(AlreadyBought):
            ledger.adopt([labelled(new), labelled(taken)], "a paper")
    with pytest.raises(InputError, match="no luck"):
        ledger.adopt([labelled(new), failed(make_job(7))], "a paper")
    with pytest.raises(InputError, match="twice"):
        ledger.adopt([labelled(new), labelled(new)], "a paper")
    with pytest.raises(InputError, match="no labels"):
        ledger.adopt([], "a paper")
    assert (ledger.entries(), ledger.balance()) == books
    assert ledger.job_states([new.key()]) == {}
    assert ledger.verify() == []


def test_what_failed_or_waits_can_be_adopted(ledger: Ledger) -> None:
    tried, given_back = make_jobs(0, 2)
    ledger.settle(ledger.reserve([tried], 10), [failed(tried)], 5)
    ledger.refund(ledger.reserve([given_back], 10), "no")
    assert ledger.adopt([labelled(tried), labelled(given_back)], "another run") == 2
    assert ledger.job_states([tried.key()])[tried.key()].attempts == 2
    assert ledger.verify() == []


def test_a_ledger_without_a_cap_can_import(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as fresh:
        assert fresh.adopt([labelled(make_job(0))], "a paper") == 1
        assert fresh.verify() == []


def test_a_withdrawn_label_is_read_no_more_and_stays_paid(
    ledger: Ledger, store: FrameStore
) -> None:
    jobs = make_jobs(0, 3)
    ledger.settle(ledger.reserve(jobs, 300), [labelled(job) for job in jobs], 300)
    pack(ledger, store)
    whole = store.version()
    assert ledger.withdraw([jobs[1].key()], "wrong geometry") == 1
    assert len(load_frames(store.path)) == 3
    pack(ledger, store)
    assert load_frames(store.path).seq_F.tolist() == [1, 3]
    assert store.version(3) == whole
    assert ledger.balance().spent_micro == 300
    (taken,) = ledger.withdrawals()
    assert (taken.frame_seq, taken.reason, taken.packed) == (2, "wrong geometry", True)
    assert ledger.tally()[0].withdrawn == 1
    assert ledger.verify(store.path) == []


@pytest.mark.parametrize("packed_between", [True, False])
def test_a_withdrawn_job_can_be_bought_again(
    ledger: Ledger, store: FrameStore, packed_between: bool
) -> None:
    job = make_job(0)
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 40)
    ledger.withdraw([job.key()], "a wrong solver")
    assert ledger.job_states([job.key()])[job.key()].state is State.WAITING
    if packed_between:
        pack(ledger, store)
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 50)
    pack(ledger, store)
    assert load_frames(store.path).seq_F.tolist() == [3]
    assert ledger.balance().spent_micro == 90
    assert ledger.withdraw([job.key()], "still wrong") == 1
    pack(ledger, store)
    assert len(load_frames(store.path)) == 0
    assert ledger.verify(store.path) == []


def test_a_crash_between_store_and_ledger_withdraws_once(
    tmp_path: Path, ledger: Ledger, store: FrameStore
) -> None:
    jobs = make_jobs(0, 2)
    ledger.settle(ledger.reserve(jobs, 100), [labelled(job) for job in jobs], 40)
    pack(ledger, store)
    ledger.withdraw([jobs[0].key()], "wrong")
    (waiting,) = ledger.withdrawals(unpacked_only=True)
    store.withdraw({waiting.seq: waiting.frame_seq})
    assert ledger.verify(store.path) == []
    rows = len(store)
    recover(ledger, store, tmp_path / "spool")
    assert len(store) == rows
    assert ledger.withdrawals(unpacked_only=True) == ()
    assert ledger.verify(store.path) == []


def test_only_a_standing_label_can_be_withdrawn(ledger: Ledger) -> None:
    job, tried = make_jobs(0, 2)
    ledger.settle(ledger.reserve([job, tried], 100), [labelled(job), failed(tried)], 40)
    ledger.withdraw([job.key()], "wrong")
    books = ledger.entries(), ledger.withdrawals()
    for key in (job.key(), tried.key(), "unknown"):
        with pytest.raises(InputError, match="no label to withdraw"):
            ledger.withdraw([key], "again")
    for keys, reason in (([], "no"), ([tried.key()] * 2, "no"), ([tried.key()], " ")):
        with pytest.raises(InputError, match="each once, and a reason"):
            ledger.withdraw(keys, reason)
    assert (ledger.entries(), ledger.withdrawals()) == books
    assert ledger.verify() == []


def test_labels_are_named_by_key_or_number(ledger: Ledger) -> None:
    job = make_job(0)
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 40)
    assert ledger.keys_of(["1", job.key().upper()]) == [job.key(), job.key()]
    with pytest.raises(InputError, match="sequence number 2"):
        ledger.keys_of(["2"])


def test_boxes_and_stress_come_through_the_inbox_and_the_store(
    ledger: Ledger, store: FrameStore
) -> None:
    outcome, plain = boxed(0), labelled(make_job(1))
    ledger.settle(ledger.reserve([outcome.job, plain.job], 100), [outcome, plain], 40)
    box, free = ledger.inbox()
    assert box.job.key() == outcome.job.key()
    assert box.job.configuration.cell_33 is not None
    assert box.label.stress_33 is not None
    assert box.job.configuration.cell_33.tobytes() == BOX.tobytes()
    assert box.label.stress_33.tobytes() == STRESS.tobytes()
    assert (free.job.configuration.cell_33, free.label.stress_33) == (None, None)
    pack(ledger, store)
    frames = load_frames(store.path)
    assert np.array_equal(frames.stress_F33[0], STRESS)
    assert np.isnan(frames.cell_F33[1]).all()


def test_boxes_and_stress_come_back_from_the_spool(tmp_path: Path) -> None:
    outcome = boxed(0)
    write_spool(tmp_path, 1, [outcome], 10)
    ((back,),) = (spool.outcomes for spool in read_spools(tmp_path))
    assert back.job.key() == outcome.job.key()
    assert isinstance(back.result, Label)
    assert back.result.stress_33 is not None
    assert back.result.stress_33.tobytes() == STRESS.tobytes()


@pytest.mark.parametrize("stress", [np.zeros((3, 2)), np.full((3, 3), np.inf)])
def test_a_broken_stress_becomes_a_failed_attempt(ledger: Ledger, stress: np.ndarray) -> None:
    outcome = boxed(0)
    assert isinstance(outcome.result, Label)
    broken = Label(outcome.result.energy, None, outcome.result.provenance, stress)
    ledger.settle(ledger.reserve([outcome.job], 10), [Outcome(outcome.job, broken)], 5)
    assert "stress" in ledger.failures()[0].failure.message


def test_a_number_is_withdrawn_once(ledger: Ledger) -> None:
    """The second time it would hit the label that was bought since."""
    job = make_job(0)
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 40)
    ledger.withdraw(ledger.keys_of(["1"]), "wrong")
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 40)
    with pytest.raises(InputError, match="Label 1 was withdrawn already"):
        ledger.keys_of(["1"])
    assert ledger.keys_of(["3"]) == [job.key()]
    for unknown in ("2", "4", "9" * 18):
        with pytest.raises(InputError, match="no label with the sequence number"):
            ledger.keys_of([unknown])
