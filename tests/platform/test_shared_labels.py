"""Asking before paying: what is found is booked at no cost, what others buy is waited for."""

from pathlib import Path

import pytest
from desks import Desk, order_of, place_at, tally_of

from forgefield.platform.book_places import book_place
from forgefield.platform.buying.asking import Asking
from forgefield.platform.buying.purchasing import Buy, Money, Need, next_purchase
from forgefield.platform.buying.run_books import strike_in_books
from forgefield.platform.buying.saved_labels import Saved, saved_words
from forgefield.platform.buying.score import Score
from forgefield.platform.buying.shared_labels import SharedLabels
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import StorageError
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.records import Tier
from forgefield.storage.testing import CCSD, labelled, make_jobs
from forgefield.storage.units import from_micro, to_micro


def test_found_labels_are_booked_at_no_cost_with_their_origin(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    jobs = make_jobs(0, 5, CCSD)
    a.buy(jobs[:3], 20.0)
    asked = b.ask([*jobs, jobs[0]], claim=True)
    assert set(asked.found) == {job.key() for job in jobs[:3]}
    assert asked.granted == tuple(job.key() for job in jobs[3:])
    row = tally_of(b)
    assert (row.done, row.adopted, row.spent_micro) == (3, 3, 0)
    assert b.saved() == Saved(3, 60.0)
    assert saved_words(3, 60.0) == "saved 3 labels, 60 core-s"
    (line,) = [entry for entry in b.ledger.entries() if entry.kind is EntryKind.IMPORT]
    assert "run a" in line.note
    assert "60.000 core-seconds" in line.note
    assert b.ledger.inbox()[0].label.provenance == a.ledger.inbox()[0].label.provenance
    assert b.ledger.verify() == []


def test_the_dispatcher_takes_what_is_known_and_waits_for_what_others_buy(
    desks: tuple[Desk, Desk],
) -> None:
    a, b = desks
    jobs = make_jobs(0, 8, CCSD)
    a.buy(jobs[:3], 20.0)
    mine, score = order_of(jobs), Score()
    asking = Asking(b.client, 0.1, score)
    asking.take_known([mine], lambda order: order.core_seconds)
    assert list(mine.jobs) == jobs[3:]
    assert (score.done[Tier.CCSD], score.bought[Tier.CCSD]) == (3, 0)
    a.ask(jobs[3:6], claim=True)
    wanted = tuple(mine.jobs.popleft() for _ in range(5))
    assert asking.granted(mine, wanted, 1.0) == tuple(jobs[6:])
    assert asking.is_waiting
    assert asking.waiting_for == "waiting for run a to finish 3 labels"
    a.buy(jobs[3:5], 20.0)
    a.release(None)
    asking.bring_back(patient=False)
    assert not asking.is_waiting
    assert asking.waiting_for == ""
    assert list(mine.jobs) == [jobs[5]], "who claimed it left it"
    assert score.done[Tier.CCSD] == 5
    assert asking.granted(mine, [jobs[5]], 1.0) == (jobs[5],)


def test_cheap_labels_pass_the_book_by(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    jobs = make_jobs(0, 2, CCSD)
    a.buy(jobs, 20.0)
    asking, mine = Asking(b.client, 0.1, Score()), order_of(jobs)
    asking.take_known([mine], lambda _: 0.01)
    assert asking.granted(mine, jobs, 0.01) == tuple(jobs)
    assert b.saved() == Saved()


def test_dear_and_claimed_labels_are_shared_before_they_are_packed(
    desks: tuple[Desk, Desk],
) -> None:
    a, b = desks
    dear, cheap, claimed = (make_jobs(n, 2, CCSD) for n in (0, 2, 4))
    a.ask(claimed, claim=True)
    assert b.ask(claimed, claim=True).busy == tuple(job.key() for job in claimed)
    for jobs, cost in ((dear, 20.0), (cheap, 0.01), (claimed, 0.01)):
        a.buy(jobs, cost)
    asked = b.ask([*dear, *cheap, *claimed], claim=False)
    assert set(asked.found) == {job.key() for job in (*dear, *claimed)}


def test_a_label_that_its_run_withdraws_is_found_no_more(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    jobs = make_jobs(0, 2, CCSD)
    a.buy(jobs, 20.0)
    folder = RunFolder.at(a.folder)
    place = book_place(folder, LabelSettings())
    assert place is not None
    assert Path(place.place).exists(), "the run's own book, by default"
    a.ledger.withdraw([jobs[0].key()], "a wrong basis")
    strike_in_books(a.ledger, folder)
    assert b.ask(jobs, claim=False).found == (jobs[1].key(),)


def test_withdrawing_what_came_free_makes_no_label_dearer(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    free, bought, rest = make_jobs(0, 60, CCSD), make_jobs(60, 40, CCSD), make_jobs(100, 20, CCSD)
    a.buy(free, 10.0)
    b.ledger.set_cap(to_micro(670), "test")
    assert len(b.ask(free, claim=True).found) == 60
    for job in bought:
        b.buy([job], 10.0)
    b.ledger.withdraw([job.key() for job in free], "a wrong basis")
    score = Score.of(b.ledger.tally())
    assert (score.done[Tier.CCSD], score.bought[Tier.CCSD]) == (40, 40)
    cost = score.cost(Tier.CCSD, planned=10.0)
    assert cost == pytest.approx(10.0)
    left = from_micro(b.ledger.balance().left_micro)
    need = Need(Tier.CCSD, len(rest), len(rest), cost)
    assert isinstance(next_purchase([need], Money(left), LabelSettings()), Buy)


def test_a_run_without_a_plan_strikes_in_the_book_that_it_shares(tmp_path: Path) -> None:
    """It was stopped in its calibration; the book is another one than by default."""
    (job,) = make_jobs(0, 1, CCSD)
    a = Desk(tmp_path / "a", tmp_path / "elsewhere" / "other.sqlite")
    a.buy([job], 20.0)
    a.ledger.withdraw([job.key()], "a wrong basis")
    strike_in_books(a.ledger, RunFolder.at(a.folder))
    b = Desk(tmp_path / "b", tmp_path / "elsewhere" / "other.sqlite")
    assert b.ask([job], claim=True).granted == (job.key(),)
    a.ledger.close()
    b.ledger.close()


def test_a_broken_book_is_told_later(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    a, _ = desks
    (job,) = make_jobs(0, 1, CCSD)
    a.buy([job], 20.0)
    a.ledger.withdraw([job.key()], "a wrong basis")
    (tmp_path / "labels.sqlite").write_bytes(b"nonsense" * 1000)
    for more in ("-wal", "-shm"):
        (tmp_path / f"labels.sqlite{more}").unlink(missing_ok=True)
    with pytest.raises(StorageError, match="next started"):
        strike_in_books(a.ledger, RunFolder.at(a.folder))


def test_a_label_taken_just_before_a_crash_can_be_struck(
    desks: tuple[Desk, Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed as soon as it is booked; who took it finds it wrong."""
    a, b = desks
    jobs = make_jobs(0, 1, CCSD)
    a.buy(jobs, 20.0)

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("forgefield.platform.buying.shared_labels.count_saved", killed)
    with pytest.raises(SystemExit):
        b.ask(jobs, claim=True)
    again = SharedLabels(b.ledger, b.folder / "frames.zarr", place_at(tmp_path, b))
    again.open()
    b.ledger.withdraw([jobs[0].key()], "wrong")
    mended = again.open()
    assert mended is not None
    assert mended.struck == 1
    assert a.ask(jobs, claim=False).found == ()


def test_what_was_noted_and_never_booked_does_no_harm(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    (job,) = make_jobs(0, 1, CCSD)
    a.buy([job], 20.0)
    assert b._book is not None
    b._book.note_taken(b._book.find([job]))
    number = b.ledger.reserve([job], to_micro(9))
    b.ledger.settle(number, [labelled(job, wall_s=7.0)], to_micro(1))
    b.ledger.withdraw([job.key()], "another label of it")
    b.open()
    assert [known.key for known in a.known([job])] == [job.key()], "which stays"


def test_what_its_buyer_withdraws_is_withdrawn_by_who_took_it(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    wrong, right = make_jobs(0, 2, CCSD)
    a.buy([wrong, right], 20.0)
    b.ask([wrong, right], claim=True)
    a.ledger.withdraw([wrong.key()], "a wrong basis")
    strike_in_books(a.ledger, RunFolder.at(a.folder))
    assert b.news() == ()
    b.open()
    (said,) = b.news()
    assert "1 label is withdrawn that came from run a" in said
    (line,) = b.ledger.withdrawals()
    assert (line.job_key, "run a" in line.reason) == (wrong.key(), True)
    states = b.ledger.job_states([wrong.key(), right.key()])
    assert states[wrong.key()].state is State.WAITING
    assert states[right.key()].state is State.DONE
    assert b.ask([wrong], claim=True).granted == (wrong.key(),)
    b.buy([wrong], 20.0, wall_s=0.7)
    b.open()
    assert len(b.ledger.withdrawals()) == 1, "the new label stands"
    assert a.ask([wrong], claim=False).found == (wrong.key(),)
    assert b.ledger.verify() == []
