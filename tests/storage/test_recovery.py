"""What a killed driver left behind is adopted, charged and packed, once."""

import time
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.errors import RunBusy, StorageError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import Recovery, recover
from forgefield.storage.ledger.spool import (
    Heartbeat,
    last_beat,
    read_spools,
    remove_spool,
    write_spool,
)
from forgefield.storage.records import Label
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import CCSD, failed, labelled, make_job, make_jobs


def test_spooled_outcomes_come_back_bit_by_bit(tmp_path: Path) -> None:
    jobs = make_jobs(0, 3, CCSD)
    outcomes = [labelled(jobs[0]), labelled(jobs[1], energy_only=True), failed(jobs[2])]
    write_spool(tmp_path, 7, outcomes, 123)
    (spool,) = read_spools(tmp_path)
    assert (spool.reservation, spool.used_micro) == (7, 123)
    for back, outcome in zip(spool.outcomes, outcomes, strict=True):
        assert back.job.key() == outcome.job.key()
        assert back.job.purpose is outcome.job.purpose
        if not isinstance(outcome.result, Label):
            assert back.result == outcome.result
            continue
        assert isinstance(back.result, Label)
        assert back.result.energy == outcome.result.energy
        assert back.result.provenance == outcome.result.provenance
        if outcome.result.forces_A3 is None:
            assert back.result.forces_A3 is None
        else:
            assert back.result.forces_A3 is not None
            assert back.result.forces_A3.tobytes() == outcome.result.forces_A3.tobytes()
    remove_spool(tmp_path, 7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "nonsense"])
def test_a_damaged_spool_is_set_aside(tmp_path: Path, damage: str) -> None:
    write_spool(tmp_path, 7, [labelled(make_job(0))], 123)
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    cut = len(text) // 2
    broken = {"flip": text.replace("123", "124"), "cut": text[:cut], "nonsense": "[]"}
    file.write_text(broken[damage])
    assert read_spools(tmp_path) == ()
    assert [each.name for each in tmp_path.iterdir()] == ["7.spool.json.damaged"]


def test_the_heartbeat_shows_what_is_being_used(tmp_path: Path) -> None:
    assert last_beat(tmp_path, 3) == 0
    with Heartbeat(tmp_path, 3, cores=4, every_s=0.05):
        time.sleep(0.3)
        during = last_beat(tmp_path, 3)
    after = last_beat(tmp_path, 3)
    assert 400_000 < during <= after
    assert after >= 1_200_000
    (tmp_path / "3.beat").write_text("")
    assert last_beat(tmp_path, 3) == 0


def test_recovery_adopts_charges_and_packs(
    tmp_path: Path, ledger: Ledger, store: FrameStore
) -> None:
    spool = tmp_path / "spool"
    finished, beating, silent, settled = make_jobs(0, 4)
    spooled = ledger.reserve([finished], 1000)
    write_spool(spool, spooled, [labelled(finished)], 700)
    dead = ledger.reserve([beating], 1000)
    (spool / f"{dead}.beat").write_text("5000")
    ledger.reserve([silent], 1000)
    duplicate = ledger.reserve([settled], 1000)
    write_spool(spool, duplicate, [labelled(settled)], 10)
    ledger.settle(duplicate, [labelled(settled)], 10)

    assert recover(ledger, store, spool) == Recovery(adopted=1, charged=2, packed=2)
    now = ledger.balance()
    assert (now.spent_micro, now.reserved_micro) == (700 + 1000 + 10, 0)
    states = ledger.job_states([job.key() for job in (finished, beating, silent, settled)])
    assert [states[job.key()].state for job in (finished, beating, silent, settled)] == [
        State.DONE,
        State.FAILED,
        State.FAILED,
        State.DONE,
    ]
    assert [row.used_micro for row in ledger.failures()] == [1000, 0]
    assert list(spool.iterdir()) == []
    assert ledger.verify(store.path) == []
    assert recover(ledger, store, spool) == Recovery(0, 0, 0)


def test_packing_again_after_a_crash_adds_nothing(ledger: Ledger, store: FrameStore) -> None:
    jobs = make_jobs(0, 5)
    ledger.settle(ledger.reserve(jobs, 500), [labelled(job) for job in jobs], 500)
    store.append(ledger.inbox())
    assert ledger.verify(store.path) == []
    assert pack(ledger, store) == 0
    assert ledger.inbox() == ()
    assert len(store) == 5
    more = make_jobs(5, 3)
    ledger.settle(ledger.reserve(more, 500), [labelled(job) for job in more], 300)
    assert pack(ledger, store) == 3
    assert load_frames(store.path).seq_F.tolist() == list(range(1, 9))
    assert load_frames(store.path).cost_F.sum() == pytest.approx(800e-6, rel=1e-12)
    assert ledger.verify(store.path) == []


def test_a_store_of_another_ledger_is_refused(
    tmp_path: Path, ledger: Ledger, store: FrameStore
) -> None:
    with Ledger(f"sqlite:///{tmp_path}/other.sqlite") as other:
        other.set_cap(100, "other")
        job = make_job(5)
        other.settle(other.reserve([job], 10), [labelled(job)], 10)
        pack(other, store)
    job = make_job(0)
    ledger.settle(ledger.reserve([job], 10), [labelled(job)], 10)
    with pytest.raises(StorageError, match="different runs"):
        pack(ledger, store)
    assert len(ledger.inbox()) == 1
    assert any("never settled" in line for line in ledger.verify(store.path))


def test_frames_carry_their_labels_through_the_whole_way(ledger: Ledger, store: FrameStore) -> None:
    jobs = make_jobs(0, 30)
    for start in range(0, 30, 10):
        part = jobs[start : start + 10]
        ledger.settle(ledger.reserve(part, 100), [labelled(job) for job in part], 100)
    pack(ledger, store)
    frames = load_frames(store.path)
    keys = [job.key() for job in jobs]
    for place, key in enumerate(row.tobytes().hex() for row in frames.key_F):
        positions = jobs[keys.index(key)].configuration.positions_A3
        assert np.array_equal(frames.positions_A3[frames.atoms_of(place)], positions)
        assert np.array_equal(frames.forces_A3[frames.atoms_of(place)], np.sin(positions))


def test_one_driver_a_run(tmp_path: Path) -> None:
    with RunLock(tmp_path), pytest.raises(RunBusy, match=r"process \d+ on"):
        RunLock(tmp_path).acquire()
    with RunLock(tmp_path):
        assert (tmp_path / "run.lock").exists()


def test_asking_for_a_lock_neither_takes_nor_marks_it(tmp_path: Path) -> None:
    assert not RunLock(tmp_path).is_held()
    with RunLock(tmp_path):
        holder = (tmp_path / "run.lock").read_text()
        assert RunLock(tmp_path).is_held()
        assert (tmp_path / "run.lock").read_text() == holder
    assert not RunLock(tmp_path).is_held()
