"""Any order of the ledger's and the store's steps, crashes between any two of them included.

The model is a few dictionaries; after every step the ledger must agree with it, audit itself as
sound, and never have promised more than its cap. A crash falls after a drawn number of the
ledger's transactions and the store's commits: what has begun by then stays, the rest never was.
"""
# ruff: noqa: D102 - a rule's name says what it does

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

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
from forgefield.storage.frame_store.commit import StoreFiles
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.database import Database
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import Recovery, recover
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.records import Failure, Job, Purpose
from forgefield.storage.testing import expected_energy, failed, labelled, make_job

JOBS = {number: make_job(number) for number in range(12)}
KEYS = {number: job.key() for number, job in JOBS.items()}
amounts = st.integers(0, 60)
some_jobs = st.lists(st.sampled_from(sorted(JOBS)), min_size=1, max_size=4, unique=True)
TAKEN = {State.DONE, State.RESERVED}


class Killed(BaseException):
    """The process is gone; nothing catches it on the way."""


class Fuse:
    """Raises `Killed` in the place of the next step after `steps` durable ones."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def around(self, step: Callable[..., object]) -> Callable[..., object]:
        def fused(*arguments: object, **named: object) -> object:
            if not self._left:
                raise Killed
            self._left -= 1
            return step(*arguments, **named)

        return fused


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
        self.frames = self.withdrawn = 0

    @initialize(cap=st.integers(50, 200))
    def start(self, cap: int) -> None:
        self._open_all()
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
        taken = any(self.states.get(n) in TAKEN for n in numbers)
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
    @rule(data=st.data(), amount=amounts)
    def extend(self, data: st.DataObject, amount: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        if self.spent + self.reserved + amount > self.cap:
            with pytest.raises(BudgetExhausted):
                self.ledger.extend(number, amount)
        else:
            self.ledger.extend(number, amount)
            numbers, before = self.open[number]
            self.open[number] = (numbers, before + amount)

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

    @rule(numbers=some_jobs)
    def adopt(self, numbers: list[int]) -> None:
        outcomes = [labelled(JOBS[n]) for n in numbers]
        if any(self.states.get(n) in TAKEN for n in numbers):
            with pytest.raises(AlreadyBought):
                self.ledger.adopt(outcomes, "a paper")
            return
        assert self.ledger.adopt(outcomes, "a paper") == len(numbers)
        self.states |= dict.fromkeys(numbers, State.DONE)
        for number in numbers:
            self.attempts[number] += 1
        self.frames += len(numbers)

    @rule(numbers=some_jobs)
    def withdraw(self, numbers: list[int]) -> None:
        keys = [KEYS[n] for n in numbers]
        if any(self.states.get(n) is not State.DONE for n in numbers):
            with pytest.raises(InputError):
                self.ledger.withdraw(keys, "wrong")
            return
        assert self.ledger.withdraw(keys, "wrong") == len(numbers)
        self.states |= dict.fromkeys(numbers, State.WAITING)
        self.withdrawn += len(numbers)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=amounts)
    def spool(self, data: st.DataObject, used: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        outcomes = [labelled(JOBS[n]) for n in self.open[number][0]]
        write_spool(self.folder / "spool", number, outcomes, used)
        self.spooled[number] = used

    @rule()
    def pack(self) -> None:
        pack(self.ledger, self.store)
        assert len(self.store) == self.frames + self.withdrawn

    @rule(steps=st.integers(0, 6))
    def crash_while_packing(self, steps: int) -> None:
        self._killed_after(steps, lambda: pack(self.ledger, self.store))
        self._crash()

    @rule(steps=st.integers(0, 8))
    def crash_while_recovering(self, steps: int) -> None:
        self._close_all()
        self._open_all()
        self._killed_after(steps, self._recover)
        self._crash()

    @rule()
    def crash(self) -> None:
        self._crash()

    def _crash(self) -> None:
        self._close_all()
        self._open_all()
        self._recover()
        for number in sorted(self.open):
            fate = State.DONE if number in self.spooled else State.FAILED
            used = self.spooled.get(number, 0)
            self._closed(number, used, dict.fromkeys(self.open[number][0], fate))
        assert len(self.store) == self.frames + self.withdrawn

    def _recover(self) -> Recovery:
        return recover(self.ledger, self.store, self.folder / "spool")

    def _killed_after(self, steps: int, work: Callable[[], object]) -> None:
        fuse = Fuse(steps)
        with (
            patch.object(Database, "write", fuse.around(Database.write)),
            patch.object(StoreFiles, "_commit", fuse.around(StoreFiles._commit)),
            suppress(Killed),
        ):
            work()

    def _open_all(self) -> None:
        self.ledger = Ledger(f"sqlite:///{self.folder}/ledger.sqlite")
        self.store = FrameStore.open_for_writing(self.folder / "frames.zarr")

    def _close_all(self) -> None:
        self.store.close()
        self.ledger.close()

    def _closed(self, number: int, used: int, states: dict[int, State]) -> None:
        _, amount = self.open.pop(number)
        self.spooled.pop(number, None)
        self.spent += min(used, amount)
        self.states |= states
        for job, state in states.items():
            self.attempts[job] += state is not State.WAITING
            self.frames += state is State.DONE

    @invariant()
    def money_agrees(self) -> None:
        now = self.ledger.balance()
        assert (now.cap_micro, now.spent_micro) == (self.cap, self.spent)
        assert now.reserved_micro == self.reserved
        assert now.left_micro >= 0

    @invariant()
    def jobs_agree(self) -> None:
        found = self.ledger.job_states(list(KEYS.values()))
        assert {n: found[KEYS[n]].state for n in self.states} == self.states
        assert all(found[KEYS[n]].attempts == self.attempts[n] for n in self.states)

    @invariant()
    def ledger_finds_itself_sound(self) -> None:
        assert self.ledger.verify(self.folder / "frames.zarr") == []

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            pack(self.ledger, self.store)
            self._frames_are_the_done_jobs()
            self._close_all()
        shutil.rmtree(self.folder)

    def _frames_are_the_done_jobs(self) -> None:
        frames = load_frames(self.store.path, tuple(Purpose))
        done: dict[str, Job] = {
            KEYS[n]: JOBS[n] for n, state in self.states.items() if state is State.DONE
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
