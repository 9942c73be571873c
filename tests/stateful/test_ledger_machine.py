"""Any order of the ledger's and the store's steps, crashes between them included.

The model is a few dictionaries; after every step the ledger must agree with it, audit itself as
sound, and never have promised more than its cap.
"""
# ruff: noqa: D102 - a rule's name says what it does

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from forgefield.storage.errors import AlreadyBought, BudgetExhausted, InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.records import Failure, Job, Purpose
from forgefield.storage.testing import expected_energy, failed, labelled, make_job

JOBS = {number: make_job(number) for number in range(12)}
amounts = st.integers(0, 60)
some_jobs = st.lists(st.sampled_from(sorted(JOBS)), min_size=1, max_size=4, unique=True)


class LedgerMachine(RuleBasedStateMachine):
    """The ledger, its store and its spool against a model in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="forgefield-"))
        self.cap = self.spent = 0
        self.open: dict[int, tuple[list[int], int]] = {}
        self.spooled: dict[int, int] = {}
        self.states: dict[int, State] = {}
        self.attempts = dict.fromkeys(JOBS, 0)
        self.packed = 0

    @initialize(cap=st.integers(50, 200))
    def start(self, cap: int) -> None:
        self.ledger = Ledger(f"sqlite:///{self.folder}/ledger.sqlite")
        self.store = FrameStore.open_for_writing(self.folder / "frames.zarr")
        self.ledger.set_cap(cap, "start")
        self.cap = cap

    @property
    def reserved(self) -> int:
        return sum(amount for _, amount in self.open.values())

    @rule(cap=st.integers(0, 300))
    def change_cap(self, cap: int) -> None:
        if cap < self.spent + self.reserved:
            with pytest.raises(InputError):
                self.ledger.set_cap(cap, "lower")
        else:
            self.ledger.set_cap(cap, "change")
            self.cap = cap

    @rule(numbers=some_jobs, amount=amounts)
    def reserve(self, numbers: list[int], amount: int) -> None:
        taken = any(self.states.get(n) in {State.DONE, State.RESERVED} for n in numbers)
        jobs = [JOBS[number] for number in numbers]
        if self.spent + self.reserved + amount > self.cap:
            with pytest.raises(BudgetExhausted):
                self.ledger.reserve(jobs, amount)
        elif taken:
            with pytest.raises(AlreadyBought):
                self.ledger.reserve(jobs, amount)
        else:
            self.open[self.ledger.reserve(jobs, amount)] = (numbers, amount)
            self.states |= dict.fromkeys(numbers, State.RESERVED)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=amounts, verdicts=st.lists(st.sampled_from("dfw"), min_size=4))
    def settle(self, data: st.DataObject, used: int, verdicts: list[str]) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        numbers, _ = self.open[number]
        fate = dict(zip(numbers, verdicts, strict=False))
        outcomes = [
            labelled(JOBS[n]) if how == "d" else failed(JOBS[n])
            for n, how in fate.items()
            if how != "w"
        ]
        used = used if outcomes else 0
        assert self.ledger.settle(number, outcomes, used)
        assert not self.ledger.settle(number, outcomes, used)
        names = {"d": State.DONE, "f": State.FAILED, "w": State.WAITING}
        self._closed(number, used, {n: names[how] for n, how in fate.items()})

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=amounts)
    def fail(self, data: st.DataObject, used: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        assert self.ledger.fail(number, Failure("NotConverged", "no"), used)
        self._closed(number, used, dict.fromkeys(self.open[number][0], State.FAILED))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        assert self.ledger.refund(number, "unused")
        self._closed(number, 0, dict.fromkeys(self.open[number][0], State.WAITING))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=amounts)
    def spool(self, data: st.DataObject, used: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        outcomes = [labelled(JOBS[n]) for n in self.open[number][0]]
        write_spool(self.folder / "spool", number, outcomes, used)
        self.spooled[number] = used

    @rule()
    def pack(self) -> None:
        self.packed += pack(self.ledger, self.store)
        assert self.packed == len(self.store)

    @rule()
    def append_and_crash(self) -> None:
        seqs = set(self.store.rows()[0].tolist())
        self.store.append([f for f in self.ledger.inbox() if f.seq not in seqs])
        self.packed = len(self.store)
        self.crash()

    @rule()
    def crash(self) -> None:
        self.store.close()
        self.ledger.close()
        self.ledger = Ledger(f"sqlite:///{self.folder}/ledger.sqlite")
        self.store = FrameStore.open_for_writing(self.folder / "frames.zarr")
        recovery = recover(self.ledger, self.store, self.folder / "spool")
        assert recovery.adopted == len(self.open.keys() & self.spooled.keys())
        for number in sorted(self.open):
            adopted = number in self.spooled
            fate = State.DONE if adopted else State.FAILED
            used = self.spooled.get(number, 0)
            self._closed(number, used, dict.fromkeys(self.open[number][0], fate))
        self.packed += recovery.packed

    def _closed(self, number: int, used: int, states: dict[int, State]) -> None:
        _, amount = self.open.pop(number)
        self.spooled.pop(number, None)
        self.spent += min(used, amount)
        self.states |= states
        for job, state in states.items():
            self.attempts[job] += state is not State.WAITING

    @invariant()
    def money_agrees(self) -> None:
        now = self.ledger.balance()
        assert (now.cap_micro, now.spent_micro) == (self.cap, self.spent)
        assert now.reserved_micro == self.reserved
        assert now.left_micro >= 0

    @invariant()
    def jobs_agree(self) -> None:
        found = self.ledger.job_states([job.key() for job in JOBS.values()])
        keys = {number: job.key() for number, job in JOBS.items()}
        assert {n: found[keys[n]].state for n in self.states} == self.states
        assert all(found[keys[n]].attempts == self.attempts[n] for n in self.states)

    @invariant()
    def ledger_finds_itself_sound(self) -> None:
        assert self.ledger.verify(self.folder / "frames.zarr") == []

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            pack(self.ledger, self.store)
            self._frames_are_the_done_jobs()
            self.store.close()
            self.ledger.close()
        shutil.rmtree(self.folder)

    def _frames_are_the_done_jobs(self) -> None:
        frames = load_frames(self.store.path, tuple(Purpose))
        done: dict[str, Job] = {
            JOBS[n].key(): JOBS[n] for n, state in self.states.items() if state is State.DONE
        }
        keys = [key.tobytes().hex() for key in frames.key_F]
        assert sorted(keys) == sorted(done)
        for place, key in enumerate(keys):
            positions = done[key].configuration.positions_A3
            assert frames.energy_F[place] == expected_energy(positions)


def test_the_ledger_agrees_with_its_model() -> None:
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=6, stateful_step_count=15, deadline=None)
    )


@pytest.mark.slow
def test_the_ledger_agrees_with_its_model_for_long() -> None:
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=200, stateful_step_count=50, deadline=None)
    )
