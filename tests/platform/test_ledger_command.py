"""`platform ledger`: the books as people read them, and where they lie."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from postgres import PostgresServer

from forgefield.labelers.molecules import find_molecule
from forgefield.platform import cli
from forgefield.platform.ledger_place import claim_ledger
from forgefield.platform.ledger_showing.account import Rates, account_of
from forgefield.platform.ledger_showing.showing import show_account
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.status import status_of
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Failure, Tier
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import CCSD, labelled, make_job, make_jobs

CAP = 3_600_000_000
SECONDS = {tier: 2.0 ** (5 * rank) for rank, tier in enumerate(Tier)}
COSTS = {tier: TierCost(s, s / 2, 2 * s, 10**8, 2) for tier, s in SECONDS.items()}
CCSD_S = 32768.0


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of two cheap labels, a failure, a dear one in the inbox and one from elsewhere."""
    folder = RunFolder.at(tmp_path / "methanol-20ccsd")
    folder.create()
    live(folder)
    return folder


def live(folder: RunFolder) -> None:
    """Buy a little."""
    first, second, bad, new = make_jobs(0, 4)
    with (
        Ledger(folder.ledger_url) as ledger,
        FrameStore.open_for_writing(folder.frames) as store,
    ):
        ledger.set_cap(CAP, "20ccsd at calibrated costs")
        batch = [labelled(first), labelled(second)]
        ledger.settle(ledger.reserve([first, second], 10_000_000), batch, 8_000_000)
        pack(ledger, store)
        ledger.fail(ledger.reserve([bad], 5_000_000), Failure("NotConverged", "SCF"), 4_000_000)
        dear = make_job(7, CCSD)
        ledger.settle(ledger.reserve([dear], 9_000_000), [labelled(dear)], 6_000_000)
        ledger.adopt([labelled(new)], "a paper")
        ledger.reserve([make_job(8)], 1_000_000)


def with_plan(folder: RunFolder) -> None:
    """Give the run a calibrated plan."""
    machine = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
    molecule, budget = find_molecule("methanol"), parse_budget("200ccsd")
    plan = make_plan(molecule, budget, COSTS, [machine], Recipe(), str(folder.root))
    folder.plan.write_text(plan.model_dump_json())


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `platform` in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["platform", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, Any]:
    """Exit code and JSON of `platform ledger … --json`."""
    code = call(monkeypatch, "ledger", *words, "--json")
    return code, json.loads(capsys.readouterr().out)


def test_amounts_are_told_in_every_currency(run: RunFolder) -> None:
    rates = Rates(ccsd_core_seconds=48.0, ccsd_method="m", ccsd_measured=2, dollars_a_core_hour=0.5)
    money = rates.of(7_200_000_000)
    assert (money.core_seconds, money.core_hours, money.dollars) == (7200.0, 2.0, 1.0)
    assert money.ccsd == pytest.approx(150.0, rel=1e-12)
    assert account_of(run, 1, verify=False).spent.ccsd is None
    with_plan(run)
    account = account_of(run, 1, verify=False)
    assert account.rates.ccsd_core_seconds == CCSD_S
    assert (account.rates.ccsd_measured, account.rates.dollars_a_core_hour) == (2, 0.04)
    assert account.spent.ccsd == pytest.approx(18 / CCSD_S, rel=1e-12)
    assert account.spent.dollars == pytest.approx(18 / 3600 * 0.04, rel=1e-12)


def test_the_books_as_json(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, books = answer(monkeypatch, capsys, str(run.root), "--entries", "2", "--verify")
    assert code == 0
    assert books["broken"] == []
    amounts = {name: books[name]["core_seconds"] for name in ("cap", "spent", "reserved", "left")}
    assert amounts == {"cap": 3600.0, "spent": 18.0, "reserved": 1.0, "left": 3581.0}
    cheap, dear = books["tiers"]
    assert (cheap["tier"], cheap["purpose"], cheap["done"]) == ("xtb", "train", 3)
    assert (cheap["in_flight"], cheap["failed"], cheap["adopted"]) == (1, 1, 1)
    assert cheap["wasted"]["core_seconds"] == 4.0
    assert cheap["core_seconds_a_label"] == 4.0
    assert (dear["tier"], dear["spent"]["core_seconds"]) == ("ccsd", 6.0)
    assert [line["kind"] for line in books["entries"]] == ["import", "reserve"]
    assert books["entries_in_all"] == 12
    _, books = answer(monkeypatch, capsys, str(run.root), "--all")
    assert len(books["entries"]) == 12
    assert books["broken"] is None


def test_the_books_on_the_screen(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    with_plan(run)
    console = Console(width=110, highlight=False)
    show_account(console, account_of(run, 3, verify=True))
    said = capsys.readouterr().out
    for words in (
        "1ccsd = 9.1 h of a core, CCSD(T)/cc-pVDZ, frozen core (mean of 2 calibration labels)",
        "$0.04 a core-hour",
        "the last 3 of 12 entries",
        "All 12 entries replay",
        "adopted",
    ):
        assert words in said
    assert call(monkeypatch, "ledger", str(run.root), "-n", "0") == 0
    assert "import" not in capsys.readouterr().out


def test_a_broken_invariant_is_named_with_exit_code_6(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = next(p for p in (run.frames / "energy" / "c").rglob("*") if p.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[-3] ^= 8
    chunk.write_bytes(damaged)
    code, books = answer(monkeypatch, capsys, str(run.root), "--verify")
    assert code == StorageError.exit_code == 6
    assert any("energy" in line for line in books["broken"])
    assert call(monkeypatch, "ledger", str(run.root), "--verify") == 6
    assert "energy" in capsys.readouterr().out
    assert call(monkeypatch, "ledger", str(run.root)) == 0


def test_labels_are_withdrawn_by_number_and_key(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dear = make_job(7, CCSD).key()
    words = ("--withdraw", "1", "--withdraw", dear, "--because", "a wrong basis")
    code, books = answer(monkeypatch, capsys, str(run.root), *words, "--verify")
    assert (code, books["broken"]) == (0, [])
    assert [w["frame_seq"] for w in books["withdrawals"]] == [1, 4]
    assert books["spent"]["core_seconds"] == 18.0
    assert load_frames(run.frames).seq_F.tolist() == [2, 5]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--withdraw", "1"), 2, "Say both"),
        (("--because", "x"), 2, "Say both"),
        (("--withdraw", "3", "--because", "x"), 2, "sequence number 3"),
        (("--withdraw", "f" * 32, "--because", "x"), 2, "no label to withdraw"),
    ],
)
def test_what_cannot_be_withdrawn_is_said(
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    before = run.ledger.stat().st_size, load_frames(run.frames).seq_F.tolist()
    assert call(monkeypatch, "ledger", str(run.root), *words) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert (run.ledger.stat().st_size, load_frames(run.frames).seq_F.tolist()) == before


def test_a_run_that_is_going_on_is_read_and_not_changed(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        RunLock(run.root),
        FrameStore.open_for_writing(run.frames),
        Ledger(run.ledger_url) as ledger,
    ):
        code, books = answer(monkeypatch, capsys, str(run.root), "--verify")
        assert (code, books["broken"]) == (0, [])
        words = ("--withdraw", "1", "--because", "x")
        assert call(monkeypatch, "ledger", str(run.root), *words) == 5
        assert ledger.withdrawals() == ()


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ledger", str(tmp_path)) == 2
    assert "not a run folder" in " ".join(capsys.readouterr().err.split())


def test_a_run_keeps_its_books_on_a_server(
    tmp_path: Path,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, password = postgres_server.new_database(), postgres_server.password
    monkeypatch.setenv("PGPASSWORD", "")
    folders = [RunFolder.at(tmp_path / name / "methanol") for name in "ab"]
    for folder in folders:
        folder.create()
        claim_ledger(folder, url)
        assert os.environ["PGPASSWORD"] == password
        live(folder)
        claim_ledger(folder, url)
        claim_ledger(folder, None)
    assert folders[0].ledger_url != folders[1].ledger_url
    for folder in folders:
        assert not folder.ledger.exists()
        assert RunFolder.existing(folder.root).has_ledger
        assert status_of(folder).spent == 18.0
        code, books = answer(monkeypatch, capsys, str(folder.root), "--verify")
        assert (code, books["broken"]) == (0, [])
        assert "schema=run_methanol_" in books["ledger"]
        assert password not in json.dumps(books)
        for path in folder.root.rglob("*"):
            assert path.is_dir() or password.encode() not in path.read_bytes()


def test_a_ledger_stays_where_it_was_claimed(tmp_path: Path, run: RunFolder) -> None:
    elsewhere = f"sqlite:///{tmp_path}/books.sqlite"
    with pytest.raises(InputError, match="stays there"):
        claim_ledger(run, elsewhere)
    claim_ledger(run, run.ledger_url)
    first, second = RunFolder.at(tmp_path / "one"), RunFolder.at(tmp_path / "two")
    first.create()
    claim_ledger(first, elsewhere)
    claim_ledger(first, elsewhere)
    assert first.ledger_url == elsewhere
    for taken in (elsewhere, run.ledger_url):
        with pytest.raises(InputError, match="of another run"):
            claim_ledger(second, taken)
    assert not second.has_ledger


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:////no/such/folder/l.sqlite", "nonsense"]
)
def test_a_place_that_cannot_hold_a_ledger_is_refused(tmp_path: Path, url: str) -> None:
    folder = RunFolder.at(tmp_path)
    with pytest.raises(InputError):
        claim_ledger(folder, url)
    assert not folder.has_ledger


def test_a_server_that_is_not_there_leaves_the_run_unclaimed(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path)
    with pytest.raises(StorageError, match="Check the server"):
        claim_ledger(folder, "postgresql://nobody@127.0.0.1:1/db")
    assert not folder.has_ledger


def test_a_damaged_record_says_how_to_mend_it(run: RunFolder) -> None:
    run.ledger_elsewhere.write_text("{")
    with pytest.raises(InputError, match="Put it back"):
        status_of(run)
