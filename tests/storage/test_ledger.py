"""Money and labels move together, once, and never past the cap."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.errors import AlreadyBought, BudgetExhausted, InputError, StorageError
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.records import Configuration, Failure, Job, Label, Outcome, Purpose, Tier
from forgefield.storage.testing import CCSD, XTB, failed, labelled, make_job, make_jobs

CAP = 1_000_000


def balance(ledger: Ledger) -> tuple[int, int, int]:
    now = ledger.balance()
    return now.cap_micro, now.spent_micro, now.reserved_micro


def test_settling_charges_what_was_used_and_releases_the_rest(ledger: Ledger) -> None:
    job = make_job(0)
    number = ledger.reserve([job], 400)
    assert balance(ledger) == (CAP, 0, 400)
    assert ledger.settle(number, [labelled(job)], 150)
    assert balance(ledger) == (CAP, 150, 0)
    assert ledger.balance().left_micro == CAP - 150
    assert ledger.job_states([job.key(), "unknown"])[job.key()].state is State.DONE
    assert "unknown" not in ledger.job_states(["unknown"])
    assert ledger.verify() == []


def test_the_inbox_gives_back_the_very_numbers(ledger: Ledger) -> None:
    jobs = make_jobs(0, 3)
    outcomes = [labelled(job, energy_only=place == 1) for place, job in enumerate(jobs)]
    ledger.settle(ledger.reserve(jobs, 300), outcomes, 300)
    frames = ledger.inbox()
    assert [frame.seq for frame in frames] == [1, 2, 3]
    for frame, outcome in zip(frames, outcomes, strict=True):
        assert isinstance(outcome.result, Label)
        assert frame.job.key() == outcome.job.key()
        assert np.array_equal(
            frame.job.configuration.positions_A3, outcome.job.configuration.positions_A3
        )
        assert frame.label.energy == outcome.result.energy
        assert frame.label.provenance == outcome.result.provenance
        if outcome.result.forces_A3 is None:
            assert frame.label.forces_A3 is None
        else:
            assert np.array_equal(frame.label.forces_A3, outcome.result.forces_A3)


def test_settling_twice_changes_nothing(ledger: Ledger) -> None:
    job = make_job(0)
    number = ledger.reserve([job], 400)
    assert ledger.settle(number, [labelled(job)], 150)
    before = ledger.entries(), ledger.inbox()[0].seq, balance(ledger)
    assert not ledger.settle(number, [labelled(job)], 399)
    assert not ledger.refund(number, "late")
    assert not ledger.fail(number, Failure("TransientFailure", "late"), 10)
    assert (ledger.entries(), ledger.inbox()[0].seq, balance(ledger)) == before
    assert len(ledger.inbox()) == 1


def test_a_reservation_that_does_not_fit_leaves_no_trace(ledger: Ledger) -> None:
    first, second = make_jobs(0, 2)
    ledger.reserve([first], CAP - 10)
    with pytest.raises(BudgetExhausted, match="left of"):
        ledger.reserve([second], 11)
    assert balance(ledger) == (CAP, 0, CAP - 10)
    assert ledger.job_states([second.key()]) == {}
    ledger.reserve([second], 10)
    assert ledger.balance().left_micro == 0


def test_nobody_buys_the_same_job_twice(ledger: Ledger) -> None:
    job, other = make_jobs(0, 2)
    number = ledger.reserve([job], 10)
    with pytest.raises(AlreadyBought, match="reserved"):
        ledger.reserve([other, job], 10)
    ledger.settle(number, [labelled(job)], 10)
    with pytest.raises(AlreadyBought, match="done"):
        ledger.reserve([make_job(0, purpose=Purpose.HOLDOUT)], 10)
    assert balance(ledger) == (CAP, 10, 0)
    assert ledger.job_states([other.key()]) == {}
    ledger.reserve([make_job(0, CCSD)], 10)


def test_a_failed_job_is_charged_and_can_be_tried_again(ledger: Ledger) -> None:
    job = make_job(0)
    assert ledger.fail(ledger.reserve([job], 100), Failure("NotConverged", "SCF"), 60)
    state = ledger.job_states([job.key()])[job.key()]
    assert (state.state, state.attempts) == (State.FAILED, 1)
    assert state.failure == Failure("NotConverged", "SCF")
    assert [each.key() for each in ledger.jobs(State.FAILED)] == [job.key()]
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 70)
    state = ledger.job_states([job.key()])[job.key()]
    assert (state.state, state.attempts, state.failure) == (State.DONE, 2, None)
    assert balance(ledger) == (CAP, 130, 0)
    (row,) = ledger.failures()
    assert (row.job_key, row.used_micro, row.method) == (job.key(), 60, XTB)
    assert ledger.verify() == []


def test_a_refund_costs_nothing_and_frees_the_jobs(ledger: Ledger) -> None:
    job = make_job(0)
    assert ledger.refund(ledger.reserve([job], 100), "not needed")
    assert balance(ledger) == (CAP, 0, 0)
    assert ledger.job_states([job.key()])[job.key()].state is State.WAITING
    assert ledger.reserve([job], 100) == 2
    assert ledger.verify() == []


def test_a_batch_shares_its_cost_and_keeps_its_unfinished_jobs(ledger: Ledger) -> None:
    jobs = make_jobs(0, 4)
    number = ledger.reserve(jobs, 10_000_000 // 20)
    outcomes = [labelled(jobs[0], wall_s=0.05), labelled(jobs[1], wall_s=0.1), failed(jobs[2])]
    ledger.settle(number, outcomes, 400_000)
    costs = [frame.cost_micro for frame in ledger.inbox()]
    assert costs == [100_000, 200_000]
    assert ledger.failures()[0].used_micro == 100_000
    assert ledger.job_states([jobs[3].key()])[jobs[3].key()].state is State.WAITING
    assert ledger.verify() == []


def test_an_overrun_is_noted_and_not_charged(ledger: Ledger) -> None:
    job = make_job(0)
    ledger.settle(ledger.reserve([job], 100), [labelled(job)], 130)
    assert balance(ledger) == (CAP, 100, 0)
    overrun = ledger.entries()[-1]
    assert (overrun.kind, overrun.amount_micro) == ("overrun", 30)
    assert ledger.verify() == []


def test_outcomes_must_belong_to_the_reservation(ledger: Ledger) -> None:
    job, stranger = make_jobs(0, 2)
    number = ledger.reserve([job], 100)
    for outcomes in ([labelled(stranger)], [labelled(job), labelled(job)]):
        with pytest.raises(StorageError, match="Nothing was booked"):
            ledger.settle(number, outcomes, 10)
    assert balance(ledger) == (CAP, 0, 100)
    with pytest.raises(StorageError, match="no reservation 77"):
        ledger.settle(77, [labelled(job)], 10)


@pytest.mark.parametrize(
    ("energy", "forces"),
    [(math.nan, None), (math.inf, None), (1.0, np.zeros((2, 3))), (1.0, np.full((3, 3), np.nan))],
)
def test_a_broken_label_becomes_a_failed_attempt(
    ledger: Ledger, energy: float, forces: np.ndarray | None
) -> None:
    job = make_job(0)
    good = labelled(job).result
    assert isinstance(good, Label)
    broken = Outcome(job, Label(energy, forces, good.provenance))
    assert ledger.settle(ledger.reserve([job], 100), [broken], 50)
    assert ledger.inbox() == ()
    assert ledger.failures()[0].failure.kind == "BadConfiguration"
    assert balance(ledger) == (CAP, 50, 0)


def test_the_cap_moves_but_not_below_what_is_promised(ledger: Ledger) -> None:
    ledger.reserve([make_job(0)], 500)
    with pytest.raises(InputError, match="below"):
        ledger.set_cap(499, "too low")
    ledger.set_cap(500, "just right")
    assert ledger.balance().left_micro == 0
    assert ledger.verify() == []


@pytest.mark.parametrize("amount", [-1, 1.5, True, 2**62])
def test_money_is_a_whole_number(ledger: Ledger, amount: int) -> None:
    with pytest.raises(InputError, match="whole number"):
        ledger.reserve([make_job(0)], amount)


def test_a_reservation_needs_different_jobs(ledger: Ledger) -> None:
    for jobs in ([], [make_job(0), make_job(0)]):
        with pytest.raises(InputError, match="each once"):
            ledger.reserve(jobs, 1)


def test_the_tally_counts_by_tier_and_purpose(ledger: Ledger) -> None:
    cheap = make_jobs(0, 3)
    for job, used in zip(cheap, (100, 200, 300), strict=True):
        ledger.settle(ledger.reserve([job], 500), [labelled(job)], used)
    dear = make_jobs(10, 3, CCSD)
    ledger.fail(ledger.reserve([dear[0]], 500), Failure("NotConverged", ""), 40)
    ledger.settle(ledger.reserve([dear[0]], 500), [labelled(dear[0])], 400)
    ledger.fail(ledger.reserve([dear[1]], 500), Failure("NotConverged", ""), 50)
    ledger.reserve([dear[2]], 500)
    first, second = ledger.tally()
    assert (first.tier, first.purpose, first.done) == (Tier.XTB, Purpose.TRAIN, 3)
    assert first.mean_core_seconds == pytest.approx(200e-6, rel=1e-12)
    assert first.std_core_seconds == pytest.approx(100e-6, rel=1e-9)
    assert (second.done, second.failed, second.in_flight, second.failed_attempts) == (1, 1, 1, 2)
    assert (second.spent_micro, second.spent_on_failures_micro) == (490, 90)
    assert math.isnan(second.std_core_seconds)


def test_open_reservations_bring_their_jobs(ledger: Ledger) -> None:
    jobs = make_jobs(0, 2)
    number = ledger.reserve(jobs, 100)
    ledger.refund(ledger.reserve([make_job(9)], 1), "no")
    (still_open,) = ledger.open_reservations()
    assert (still_open.id, still_open.amount_micro) == (number, 100)
    assert {job.key() for job in still_open.jobs} == {job.key() for job in jobs}


def test_species_and_threads_from_numpy_are_taken(ledger: Ledger) -> None:
    numbers = tuple(np.array([8, 1, 1]))
    job = Job(Configuration("water", numbers, np.eye(3, dtype=np.float32)), XTB, Purpose.TRAIN)
    ledger.fail(ledger.reserve([job], 10), Failure("TransientFailure", "nul \0"), 1)
    assert ledger.jobs(State.FAILED)[0].key() == job.key()


def test_facts_are_replaced(ledger: Ledger) -> None:
    assert ledger.get_fact("calibration") is None
    ledger.put_fact("calibration", {"ccsd": [1.5, 2.5]})
    ledger.put_fact("calibration", {"ccsd": [3.5]})
    assert ledger.get_fact("calibration") == {"ccsd": [3.5]}


def test_a_reader_looks_on_while_another_writes(
    tmp_path: Path, ledger: Ledger, ledger_url: str
) -> None:
    with Ledger(ledger_url, read_only=True) as reader:
        ledger.reserve([make_job(0)], 10)
        assert reader.balance().reserved_micro == 10
        with pytest.raises(StorageError, match=r"read-?only"):
            reader.reserve([make_job(1)], 10)
    with pytest.raises(InputError, match="no ledger at"):
        Ledger(f"sqlite:///{tmp_path}/absent.sqlite", read_only=True)


def test_a_bad_url_is_the_users_mistake() -> None:
    with pytest.raises(InputError, match="database URL"):
        Ledger("not a url")


def test_writers_at_once_never_pass_the_cap(ledger: Ledger) -> None:
    ledger.set_cap(50, "tight")

    def buy(number: int) -> bool:
        try:
            ledger.reserve([make_job(number)], 5)
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(buy, range(30))) == 10
    assert balance(ledger) == (50, 0, 50)
    assert ledger.verify() == []


def test_an_open_reservation_can_be_extended_within_the_cap(ledger: Ledger) -> None:
    job = make_job(0)
    number = ledger.reserve([job], 400)
    ledger.extend(number, 100)
    assert balance(ledger) == (CAP, 0, 500)
    with pytest.raises(BudgetExhausted):
        ledger.extend(number, CAP)
    assert balance(ledger) == (CAP, 0, 500)
    assert ledger.settle(number, [labelled(job)], 480)
    assert balance(ledger) == (CAP, 480, 0)
    with pytest.raises(BudgetExhausted, match="closed"):
        ledger.extend(number, 1)
    assert balance(ledger) == (CAP, 480, 0)
    assert ledger.verify() == []
