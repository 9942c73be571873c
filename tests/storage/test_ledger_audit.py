"""Whatever is changed behind the ledger's back, the audit names it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger, addresses
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Failure, Job, Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import labelled, make_job, make_jobs


def tamper(url: str, *statements: str) -> None:
    """Raw SQL, foreign keys off, as somebody with rights to the database could do it."""
    parsed = addresses.parse(url)
    engine = create_engine(parsed.difference_update_query(["schema"]))
    with engine.begin() as connection:
        if addresses.is_local(parsed):
            off = "PRAGMA foreign_keys = OFF"
        else:
            connection.execute(text(f"SET search_path TO {addresses.schema_of(parsed)}"))
            off = "SET session_replication_role = replica"
        connection.execute(text(off))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def a_life(ledger: Ledger, store: FrameStore) -> None:
    """Labels 1 and 2 packed, 2 withdrawn by 3, 4 failed, 5 imported, 6 in the inbox."""
    first, second, third, fourth, fifth = make_jobs(0, 5)
    ledger.settle(ledger.reserve([first, second], 100), [labelled(first), labelled(second)], 60)
    ledger.withdraw([second.key()], "a wrong basis")
    pack(ledger, store)
    ledger.fail(ledger.reserve([third], 100), Failure("NotConverged", "no"), 20)
    ledger.adopt([labelled(fourth)], "a paper")
    ledger.settle(ledger.reserve([fifth], 100), [labelled(fifth)], 30)
    ledger.reserve([make_job(9)], 10)


TAMPERED = {
    "the balance": ("UPDATE budget SET spent_micro = spent_micro + 1", "replay to"),
    "the cap": ("UPDATE budget SET cap_micro = cap_micro + 1", "replay to"),
    "an amount in the log": (
        "UPDATE entry SET amount_micro = amount_micro - 1 WHERE kind = 'label'",
        "label entries say",
    ),
    "a negative amount": (
        "UPDATE entry SET amount_micro = -5 WHERE kind = 'release'",
        "has the amount -5",
    ),
    "a promise past the cap": (
        "UPDATE entry SET amount_micro = 10000000 WHERE kind = 'reserve'",
        "After entry",
    ),
    "a free label that costs": (
        "UPDATE entry SET amount_micro = 7 WHERE kind = 'import'",
        "(import) has the amount 7, not 0",
    ),
    "a lost line": ("DELETE FROM entry WHERE kind = 'reserve'", "logged as another amount"),
    "a lost import": ("DELETE FROM entry WHERE kind = 'import'", "logged as an import: False"),
    "a bought label made free": (
        "UPDATE attempt SET source = 'a paper' WHERE seq = 1",
        "brought imported labels: True",
    ),
    "a reservation's amount": (
        "UPDATE reservation SET amount_micro = 99 WHERE id = 1",
        "logged as another amount",
    ),
    "a reopened reservation": (
        "UPDATE reservation SET closed_at = NULL WHERE id = 1",
        "open: True, but holds jobs: False",
    ),
    "a job's state": ("UPDATE job SET state = 'failed' WHERE state = 'done'", "settled 1 times"),
    "a withdrawn job made done": (
        "UPDATE job SET state = 'done' WHERE state = 'waiting'",
        "settled 1 times and withdrawn 1 times",
    ),
    "a job's attempts": ("UPDATE job SET attempts = 5", "counts 5 attempts"),
    "a job's purpose and geometry": (
        "UPDATE job SET charge = 1 WHERE state = 'failed'",
        "holds another geometry or method",
    ),
    "a lost job": ("DELETE FROM job WHERE state = 'failed'", "has attempts and is unknown"),
    "a lost attempt": ("DELETE FROM attempt WHERE done = 0", "1 belong to nothing [4]"),
    "an attempt too many": (
        "UPDATE attempt SET seq = 77 WHERE done = 0",
        "1 are used that weren't given out [77]",
    ),
    "a lost label": ("DELETE FROM inbox WHERE seq = 6", "neither in the store nor in the inbox"),
    "a label of another job": (
        "UPDATE inbox SET job = (SELECT job FROM attempt WHERE seq = 1) WHERE seq = 6",
        "in the inbox was never settled",
    ),
    "a label's cost": (
        "UPDATE inbox SET cost_micro = 31 WHERE seq = 6",
        "Frame 6 in the inbox cost 3.1e-05 core-seconds, its attempt 3e-05",
    ),
    "a label's energy": (
        "UPDATE inbox SET energy = energy + 1 WHERE seq = 6",
        "Label 6 in the inbox holds other numbers",
    ),
    "a label's forces": (
        "UPDATE inbox SET forces = NULL WHERE seq = 5",
        "Label 5 in the inbox holds other numbers",
    ),
    "a label's stress": (
        "UPDATE inbox SET stress = (SELECT forces FROM inbox WHERE seq = 5) WHERE seq = 5",
        "Label 5 in the inbox holds other numbers",
    ),
    "what was settled": (
        "UPDATE attempt SET content = 'x' WHERE seq = 1",
        "Frame 1 in the frame store holds other numbers",
    ),
    "a job's tier": ("UPDATE job SET tier = 'dft'", "of another tier or purpose than its job"),
    "a job's purpose": ("UPDATE job SET purpose = 3", "of another tier or purpose than its job"),
    "a try's tier": (
        "UPDATE attempt SET tier = 'dft' WHERE seq = 4",
        "Attempt 4 is of another tier or purpose",
    ),
    "a try's purpose": (
        "UPDATE attempt SET purpose = 3 WHERE seq = 1",
        "Frame 1 in the frame store has the purpose 1, the ledger says 3",
    ),
    "a job's molecule": (
        "UPDATE job SET molecule = 'other'",
        "Frame 1 in the frame store has the molecule molecule 0, the ledger says other",
    ),
    "a lost withdrawal": ("DELETE FROM withdrawal", "is of withdrawals that aren't there"),
    "a withdrawal of a failure": (
        "UPDATE withdrawal SET attempt = 4",
        "takes back what is no label of job",
    ),
    "a withdrawal nobody noted": (
        "UPDATE entry SET kind = 'import', reservation = 5 WHERE kind = 'withdraw'",
        "is not in the money log",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_the_audit_names_what_was_tampered_with(
    ledger: Ledger, ledger_url: str, store: FrameStore, case: str
) -> None:
    a_life(ledger, store)
    assert ledger.verify(store.path) == []
    statement, complaint = TAMPERED[case]
    tamper(ledger_url, statement)
    assert any(complaint in line for line in ledger.verify(store.path)), ledger.verify(store.path)


def _forget(store: FrameStore, _ledger: Ledger) -> None:
    shutil.rmtree(store.path)


def _add_a_stranger(store: FrameStore, _ledger: Ledger) -> None:
    job = make_job(50)
    store.append([StoredFrame(4, job, labelled(job).result, 1)])  # type: ignore[arg-type]


def _add_twice(store: FrameStore, ledger: Ledger) -> None:
    frames = [frame for frame in ledger.inbox() if frame.seq == 6]
    store.append(frames)
    store.append(frames)


def _withdraw(store: FrameStore, _ledger: Ledger) -> None:
    store.withdraw({4: 1})


def _flip_a_bit(store: FrameStore, _ledger: Ledger) -> None:
    chunk = next(path for path in (store.path / "energy" / "c").rglob("*") if path.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    chunk.write_bytes(damaged)


def _replace(store: FrameStore, job: Job, result: Label) -> None:
    """Frames 1 and 2 and withdrawal 3 anew, frame 1 with other content."""
    second = make_job(1)
    frames = [StoredFrame(1, job, result, 30), StoredFrame(2, second, a_label(second), 30)]
    with FrameStore.open_for_writing(store.path.with_name("other.zarr")) as other:
        other.append(frames)
        other.withdraw({3: 2})
    shutil.rmtree(store.path)
    other.path.rename(store.path)


def _hold_other_energies(store: FrameStore, _ledger: Ledger) -> None:
    first = make_job(0)
    _replace(store, first, replace(a_label(first), energy=-77.0))


def _hold_other_forces(store: FrameStore, _ledger: Ledger) -> None:
    first = make_job(0)
    _replace(store, first, replace(a_label(first), forces_A3=None))


def _hold_another_purpose(store: FrameStore, _ledger: Ledger) -> None:
    first = make_job(0)
    _replace(store, replace(first, purpose=Purpose.HOLDOUT), a_label(first))


def a_label(job: Job) -> Label:
    """The label of `labelled`."""
    result = labelled(job).result
    assert isinstance(result, Label)
    return result


def test_a_job_bought_again_for_another_purpose_is_sound(ledger: Ledger, store: FrameStore) -> None:
    """Each label keeps the purpose that it was bought for, packed before or after."""
    first, second = make_jobs(0, 2)
    ledger.settle(ledger.reserve([first, second], 9), [labelled(first), labelled(second)], 9)
    ledger.withdraw([first.key(), second.key()], "a wrong basis")
    again = replace(first, purpose=Purpose.HOLDOUT)
    ledger.settle(ledger.reserve([again], 9), [labelled(again)], 9)
    assert ledger.verify(store.path) == []
    pack(ledger, store)
    assert ledger.verify(store.path) == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_forget, "neither in the store nor in the inbox"),
        (_forget, "is missing from the frame store"),
        (_add_a_stranger, "in the frame store was never settled"),
        (_add_twice, "holds 1 frames twice"),
        (_withdraw, "withdraws frame 1 by row 4, the ledger does not"),
        (_flip_a_bit, "energy"),
        (_hold_other_energies, "Frame 1 in the frame store holds other numbers"),
        (_hold_other_forces, "Frame 1 in the frame store holds other numbers"),
        (_hold_another_purpose, "Frame 1 in the frame store has the purpose 3"),
    ],
)
def test_the_audit_names_what_is_wrong_with_the_frames(
    tmp_path: Path,
    store: FrameStore,
    damage: Callable[[FrameStore, Ledger], None],
    complaint: str,
) -> None:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        ledger.set_cap(1000, "test")
        a_life(ledger, store)
        assert ledger.verify(store.path) == []
        damage(store, ledger)
        assert any(complaint in line for line in ledger.verify(store.path)), ledger.verify(
            store.path
        )
