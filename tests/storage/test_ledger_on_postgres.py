"""What only a server can do to a ledger: go away, lose an answer, abort, hold several runs."""

import threading
from pathlib import Path

import pytest
from postgres import PostgresServer
from sqlalchemy import text
from wire import Wire

from forgefield.storage.errors import BudgetExhausted, InputError, StorageError
from forgefield.storage.ledger import Ledger, State, addresses
from forgefield.storage.ledger.database import Database
from forgefield.storage.records import Failure
from forgefield.storage.testing import labelled, make_job, make_jobs

CAP = 1_000_000


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


def test_an_answer_that_is_lost_changes_nothing(postgres_server: PostgresServer, url: str) -> None:
    """Each kind of step is committed, its answer cut off: it happens once and is answered."""
    first, second, third = make_jobs(0, 3)
    with Wire(postgres_server.port) as wire, Ledger(wire.through(url)) as ledger:
        for step in (
            lambda: ledger.set_cap(CAP, "test"),
            lambda: ledger.reserve([first, second], 100),
            lambda: ledger.extend(1, 50),
            lambda: ledger.settle(1, [labelled(first), labelled(second)], 120),
            lambda: ledger.withdraw([first.key()], "wrong"),
            lambda: ledger.adopt([labelled(first)], "a paper"),
            lambda: ledger.fail(ledger.reserve([third], 10), Failure("NotConverged", ""), 5),
            lambda: ledger.drop_from_inbox([1, 2]),
        ):
            wire.armed.set()
            answer = step()
            assert not wire.armed.is_set()
            assert answer in {None, 1}
        assert wire.cuts == 8
        now = ledger.balance()
        assert (now.cap_micro, now.spent_micro, now.reserved_micro) == (CAP, 125, 0)
        assert [entry.kind for entry in ledger.entries()] == [
            *("cap", "reserve", "reserve", "label", "release", "withdraw", "import"),
            *("reserve", "failed", "release"),
        ]
        assert ledger.verify() == []


def test_a_connection_that_is_cut_in_the_middle_is_made_again(
    postgres_server: PostgresServer, url: str
) -> None:
    with Wire(postgres_server.port, b"INSERT INTO entry") as wire, Ledger(wire.through(url)) as led:
        led.set_cap(CAP, "test")
        wire.armed.set()
        number = led.reserve([make_job(0)], 10)
        assert wire.cuts == 1
        assert led.balance().reserved_micro == 10
        assert led.settle(number, [labelled(make_job(0))], 10)
        assert led.verify() == []


def test_a_killed_server_is_waited_for(postgres_server: PostgresServer, url: str) -> None:
    jobs = make_jobs(0, 40)
    with Ledger(url) as ledger:
        ledger.set_cap(CAP, "test")
        killer = threading.Thread(target=postgres_server.restart)
        killer.start()
        for job in jobs:
            assert ledger.settle(ledger.reserve([job], 100), [labelled(job)], 70)
        killer.join()
        assert ledger.balance().spent_micro == 40 * 70
        assert len(ledger.inbox()) == 40
        assert ledger.verify() == []


def test_a_server_that_stays_away_is_an_error_with_a_next_step(
    postgres_server: PostgresServer, url: str
) -> None:
    with Ledger(url) as ledger:
        ledger._database.reconnect_s = 0.3
        postgres_server.kill()
        try:
            for step in (ledger.balance, lambda: ledger.set_cap(1, "x")):
                with pytest.raises(StorageError, match="give the same command again") as caught:
                    step()
                assert postgres_server.password not in str(caught.value)
            with pytest.raises(StorageError, match="could not be used"):
                Ledger(url)
        finally:
            postgres_server.start()
        ledger.set_cap(1, "back")


def test_transactions_that_block_each_other_are_done_again(url: str) -> None:
    """Two transactions that take two rows in opposite orders: a deadlock, by the book."""
    Ledger(url).close()
    both = threading.Barrier(2)
    tries = []

    def work(names: tuple[str, str]) -> None:
        database = Database(url, read_only=False)

        def update(connection: object) -> None:
            tries.append(names)
            for place, name in enumerate(names):
                connection.execute(  # type: ignore[attr-defined]
                    text("UPDATE fact SET value = value || '!' WHERE name = :name"), {"name": name}
                )
                if not place and len(tries) <= 2:
                    both.wait(10)

        database.write(update)
        database.close()

    with Ledger(url) as ledger:
        for name in ("a", "b"):
            ledger.put_fact(name, 0)
        threads = [threading.Thread(target=work, args=(names,)) for names in ("ab", "ba")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(tries) == 3
    database = Database(url, read_only=True)
    values = database.read(lambda c: c.execute(text("SELECT value FROM fact")).scalars().all())
    database.close()
    assert sorted(values) == ["0!!", "0!!", "2"]


def test_runs_share_a_database_and_see_nothing_of_each_other(url: str) -> None:
    with Ledger(f"{url}?schema=run_a") as one, Ledger(f"{url}?schema=run_b") as two:
        one.set_cap(10, "one")
        assert two.balance().cap_micro == 0
        two.set_cap(20, "two")
        job = make_job(0)
        one.reserve([job], 10)
        two.reserve([job], 10)
        with pytest.raises(BudgetExhausted):
            one.reserve([make_job(1)], 1)
        assert (one.verify(), two.verify()) == ([], [])


def test_many_may_make_a_ledger_at_once(url: str) -> None:
    faults: list[BaseException] = []

    def make() -> None:
        try:
            Ledger(f"{url}?schema=run_new").close()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            faults.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_reader_needs_no_more_than_select(postgres_server: PostgresServer, url: str) -> None:
    with Ledger(f"{url}?schema=run_a") as ledger:
        ledger.set_cap(10, "test")
        ledger.reserve([make_job(0)], 4)
        ledger._database.write(
            lambda c: [
                c.execute(text(statement))
                for statement in (
                    "DROP ROLE IF EXISTS looker",
                    "CREATE ROLE looker LOGIN PASSWORD 'see'",
                    "GRANT USAGE ON SCHEMA run_a TO looker",
                    "GRANT SELECT ON ALL TABLES IN SCHEMA run_a TO looker",
                )
            ]
        )
        place = url.replace(f"forgefield:{postgres_server.password}@", "looker:see@")
        with Ledger(f"{place}?schema=run_a", read_only=True) as reader:
            assert reader.balance().reserved_micro == 4
            assert reader.verify() == []
            with pytest.raises(StorageError):
                reader.set_cap(20, "no")
        with pytest.raises(StorageError, match="rights"):
            Ledger(f"{place}?schema=run_a").set_cap(20, "no")
        ledger._database.write(
            lambda c: [c.execute(text(s)) for s in ("DROP OWNED BY looker", "DROP ROLE looker")]
        )
        assert ledger.jobs(State.RESERVED)[0].key() == make_job(0).key()


def test_what_is_not_there_is_said(postgres_server: PostgresServer, url: str) -> None:
    with pytest.raises(InputError, match="no ledger at"):
        Ledger(url, read_only=True)
    with pytest.raises(InputError, match="no ledger at"):
        Ledger(f"{url}?schema=nobody", read_only=True)
    for wrong in (url + "_not", url.replace(postgres_server.password, "guessed")):
        with pytest.raises(StorageError, match="pgpass") as caught:
            Ledger(wrong)
        assert "guessed" not in str(caught.value)
        assert postgres_server.password not in str(caught.value)


def test_the_password_may_come_from_the_environment(
    postgres_server: PostgresServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bare = addresses.kept_url(url)
    assert postgres_server.password not in bare
    monkeypatch.setenv("PGPASSWORD", postgres_server.password)
    Ledger(bare).close()
    monkeypatch.delenv("PGPASSWORD")
    secrets = tmp_path / "pgpass"
    secrets.write_text(f"127.0.0.1:{postgres_server.port}:*:*:{postgres_server.password}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))
    Ledger(bare, read_only=True).close()
