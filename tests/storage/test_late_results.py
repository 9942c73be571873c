"""No finished result is thrown away: not one that comes late, not one that can't be booked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger, State, recovery
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import Recovery, close_dead, recover
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.records import Failure, Job, Label, Outcome
from forgefield.storage.testing import failed, labelled, make_job, make_jobs

DEAD = Failure("TransientFailure", "gone")
STRANGE = "bad file \udcff\0"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def state_of(ledger: Ledger, job: Job) -> State:
    return ledger.job_states([job.key()])[job.key()].state


def another_label(job: Job) -> Outcome:
    """A label of the job with another energy than `labelled`."""
    label = labelled(job).result
    assert isinstance(label, Label)
    return Outcome(job, replace(label, energy=label.energy + 1))


def test_a_result_after_its_reservation_was_charged_is_adopted_for_nothing(
    spool: Path, ledger: Ledger, store: FrameStore
) -> None:
    job, tried = make_jobs(0, 2)
    number = ledger.reserve([job, tried], 1000)
    assert recover(ledger, store, spool) == Recovery(0, 1, 0)
    write_spool(spool, number, [labelled(job), failed(tried)], 900)
    assert recover(ledger, store, spool) == Recovery(1, 0, 1)
    assert list(spool.glob("*.spool.json")) == []
    assert (state_of(ledger, job), state_of(ledger, tried)) == (State.DONE, State.FAILED)
    assert load_frames(store.path).cost_F.tolist() == [0.0]
    assert any(f"reservation {number} was closed" in line.note for line in ledger.entries())
    assert ledger.verify(store.path) == []


@pytest.mark.parametrize("way", ["settled", "late"])
def test_a_withdrawn_label_does_not_come_back_from_the_spool(
    spool: Path, ledger: Ledger, store: FrameStore, way: str
) -> None:
    job = make_job(0)
    number = ledger.reserve([job], 1000)
    if way == "late":
        ledger.fail(number, DEAD, 10)
        ledger.adopt([labelled(job)], "late")
    else:
        ledger.settle(number, [labelled(job)], 900)
    write_spool(spool, number, [labelled(job)], 900)
    ledger.withdraw([job.key()], "a wrong basis")
    recover(ledger, store, spool)
    assert state_of(ledger, job) is State.WAITING
    assert list(spool.glob("*.spool.json")) == []


def test_a_late_result_waits_while_its_job_is_in_flight(spool: Path, ledger: Ledger) -> None:
    job = make_job(0)
    first = ledger.reserve([job], 1000)
    ledger.fail(first, DEAD, 10)
    second = ledger.reserve([job], 1000)
    write_spool(spool, first, [labelled(job)], 900)
    close_dead(ledger, spool, first, DEAD, None)
    assert (spool / f"{first}.spool.json").exists()
    ledger.fail(second, DEAD, 10)
    close_dead(ledger, spool, first, DEAD, None)
    assert state_of(ledger, job) is State.DONE
    assert list(spool.iterdir()) == []
    assert ledger.verify() == []


@pytest.mark.parametrize("close", ["recover", "close_dead"])
def test_a_worker_that_ends_while_its_reservation_is_closed_loses_nothing(
    spool: Path,
    ledger: Ledger,
    store: FrameStore,
    monkeypatch: pytest.MonkeyPatch,
    close: str,
) -> None:
    """The spool appears in the last moment before the reservation is charged."""
    job = make_job(0)
    number = ledger.reserve([job], 1000)
    known = recovery.last_beat

    def finish(folder: Path | str, reservation: int) -> int:
        write_spool(folder, number, [labelled(job)], 900)
        return known(folder, reservation)

    monkeypatch.setattr(recovery, "last_beat", finish)
    if close == "recover":
        recover(ledger, store, spool)
    else:
        close_dead(ledger, spool, number, DEAD, None)
    assert state_of(ledger, job) is State.DONE
    assert ledger.verify(store.path) == []


def test_a_worker_that_ended_before_its_reservation_is_charged_is_paid(
    spool: Path, ledger: Ledger, store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool appears after the spools were read and before open reservations are charged."""
    job = make_job(0)
    number = ledger.reserve([job], 1000)
    known: Callable[[Ledger, Path | str], int] = recovery._adopt

    def adopt(books: Ledger, folder: Path | str) -> int:
        found = known(books, folder)
        write_spool(folder, number, [labelled(job)], 900)
        return found

    monkeypatch.setattr(recovery, "_adopt", adopt)
    assert recover(ledger, store, spool) == Recovery(1, 0, 1)
    assert ledger.balance().spent_micro == 900


def test_a_result_that_cannot_be_booked_is_set_aside_and_counted(
    spool: Path, ledger: Ledger, store: FrameStore
) -> None:
    job, stranger, sound = make_jobs(0, 3)
    number = ledger.reserve([job], 1000)
    write_spool(spool, number, [labelled(stranger)], 900)
    other = ledger.reserve([sound], 1000)
    write_spool(spool, other, [labelled(sound)], 900)
    assert recover(ledger, store, spool) == Recovery(1, 1, 1, set_aside=1)
    assert [path.name for path in spool.iterdir()] == [f"{number}.spool.json.damaged"]
    assert (state_of(ledger, job), state_of(ledger, sound)) == (State.FAILED, State.DONE)
    assert recover(ledger, store, spool) == Recovery(0, 0, 0)


def test_text_that_no_database_takes_is_made_storable(
    spool: Path, ledger: Ledger, store: FrameStore
) -> None:
    job, tried = make_jobs(0, 2)
    label = labelled(job).result
    assert isinstance(label, Label)
    origin = replace(
        label.provenance, program=STRANGE, version=STRANGE, host=STRANGE, diagnostics={STRANGE: 1.0}
    )
    outcomes = [
        Outcome(job, replace(label, provenance=origin)),
        Outcome(tried, Failure(STRANGE, STRANGE)),
    ]
    number = ledger.reserve([job, tried], 1000)
    write_spool(spool, number, outcomes, 900)
    assert recover(ledger, store, spool) == Recovery(1, 0, 1)
    assert ledger.failures()[0].failure == Failure("bad file ?", "bad file ?")
    job = make_job(2)
    ledger.adopt([Outcome(job, replace(label, forces_A3=None, provenance=origin))], STRANGE)
    assert ledger.inbox()[0].label.provenance.program == "bad file ?"
    pack(ledger, store)
    assert ledger.verify(store.path) == []
