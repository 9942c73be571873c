"""Whose a ledger is: of a run folder and its copies only one writes to it, and one at a time."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from postgres import PostgresServer

from forgefield.platform import ledger_place
from forgefield.platform.buying.ledger_service import LedgerService
from forgefield.platform.data_sets.withdrawing import withdraw_labels
from forgefield.platform.ledger_place import claim_ledger, writing_ledger
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, RunBusy
from forgefield.storage.ledger import Ledger, addresses
from forgefield.storage.records import Failure
from forgefield.storage.testing import labelled, make_job


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with one label and an open reservation, its ledger outside its folder."""
    folder = RunFolder.at(tmp_path / "a")
    folder.create()
    claim_ledger(folder, f"sqlite:///{tmp_path}/books.sqlite")
    first, second = make_job(0), make_job(1)
    with writing_ledger(folder) as ledger:
        ledger.set_cap(1000, "test")
        ledger.settle(ledger.reserve([first], 10), [labelled(first)], 10)
        ledger.reserve([second], 10)
    return folder


def test_a_copy_does_not_write_to_the_ledger_of_its_original(
    tmp_path: Path, run: RunFolder
) -> None:
    shutil.copytree(run.root, tmp_path / "b")
    copy = RunFolder.at(tmp_path / "b")
    service = LedgerService(copy.ledger_url, copy.frames, copy.spool)
    with pytest.raises(InputError, match="is a copy of"):
        service.open({})
    with pytest.raises(InputError, match="is a copy of"):
        withdraw_labels(copy, ["1"], "wrong")
    with pytest.raises(InputError, match="is a copy of"):
        claim_ledger(copy, copy.ledger_url)
    with Ledger(run.ledger_url, read_only=True) as ledger:
        assert len(ledger.open_reservations()) == 1
    with writing_ledger(run) as ledger:
        assert ledger.withdrawals() == ()


def test_a_folder_that_was_moved_takes_its_ledger_along(tmp_path: Path, run: RunFolder) -> None:
    run.root.rename(tmp_path / "moved")
    moved = RunFolder.at(tmp_path / "moved")
    with writing_ledger(moved) as ledger:
        assert ledger.balance().spent_micro == 10
    shutil.copytree(moved.root, run.root)
    with pytest.raises(InputError, match="is a copy of"), writing_ledger(run):
        pass


def test_a_folder_from_another_machine_says_so_once(
    tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.root.rename(tmp_path / "moved")
    moved = RunFolder.at(tmp_path / "moved")
    monkeypatch.setattr(ledger_place.platform, "node", lambda: "elsewhere")
    with pytest.raises(InputError, match="name the ledger once more"), writing_ledger(moved):
        pass
    claim_ledger(moved, moved.ledger_url)
    with writing_ledger(moved) as ledger:
        assert ledger.balance().spent_micro == 10


def test_another_run_with_the_address_of_this_ledger_is_refused(
    tmp_path: Path, run: RunFolder
) -> None:
    other = RunFolder.at(tmp_path / "other")
    other.create()
    other.ledger_elsewhere.write_text(json.dumps({"url": run.ledger_url, "run": "f" * 32}))
    with pytest.raises(InputError, match="of another run"), writing_ledger(other):
        pass
    at_home = RunFolder.at(tmp_path / "at home")
    at_home.create()
    with writing_ledger(at_home) as ledger:
        ledger.set_cap(10, "test")
    other.ledger_elsewhere.write_text(json.dumps({"url": at_home.ledger_url, "run": "f" * 32}))
    with pytest.raises(InputError, match="of another run"), writing_ledger(other):
        pass


def test_a_claim_that_was_cut_off_is_made_again(tmp_path: Path, run: RunFolder) -> None:
    run.ledger_elsewhere.unlink()
    claim_ledger(run, f"sqlite:///{tmp_path}/books.sqlite")
    with writing_ledger(run) as ledger:
        assert ledger.balance().spent_micro == 10


def test_a_ledger_in_use_is_written_by_nobody_else(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forgefield.platform.buying import ledger_service

    monkeypatch.setattr(ledger_service, "PATIENCE_S", 0.1)
    with writing_ledger(run) as ledger:
        with pytest.raises(RunBusy):
            LedgerService(run.ledger_url, run.frames, run.spool).open({})
        with pytest.raises(RunBusy):
            withdraw_labels(run, ["1"], "wrong")
        assert len(ledger.open_reservations()) == 1
        assert ledger.fail(2, Failure("NotConverged", "no"), 1)


def test_of_two_runs_that_claim_a_ledger_at_once_one_gets_it(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    base = postgres_server.new_database()
    for turn in range(8):
        folders = [RunFolder.at(tmp_path / f"{turn}{name}") for name in "ab"]
        refused, ready = [], threading.Barrier(2)

        def claim(
            folder: RunFolder, url: str, ready: threading.Barrier, refused: list[InputError]
        ) -> None:
            folder.create()
            ready.wait()
            try:
                claim_ledger(folder, url)
            except InputError as error:
                refused.append(error)

        url = f"{base}?schema=race_{turn}"
        threads = [threading.Thread(target=claim, args=(f, url, ready, refused)) for f in folders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert sum(folder.has_ledger for folder in folders) == 1


@pytest.mark.parametrize("name", ["a?1", "b#2", "c%41", "d e&f=g"])
def test_a_run_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = RunFolder.at(tmp_path / name)
    folder.create()
    with writing_ledger(folder) as ledger:
        ledger.set_cap(7, "test")
    assert folder.ledger.is_file()
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.balance().cap_micro == 7
    elsewhere = RunFolder.at(tmp_path / f"{name} elsewhere")
    elsewhere.create()
    claim_ledger(elsewhere, addresses.sqlite_url(folder.root / "other.sqlite"))
    with writing_ledger(elsewhere) as ledger:
        ledger.set_cap(8, "test")
    assert (folder.root / "other.sqlite").is_file()


def test_a_question_mark_in_a_written_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="%3F"):
        Ledger(f"sqlite:///{tmp_path}/a?1/ledger.sqlite")
