"""A ledger has one writer at a time, however the last one ended."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest
from postgres import PostgresServer

from forgefield.storage.errors import RunBusy, StorageError
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.writer_lock import WriterLock

HOLDER = """
import sys, time
from forgefield.storage.ledger.writer_lock import WriterLock
with WriterLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_ends(ledger: Ledger, ledger_url: str) -> None:
    with WriterLock(ledger_url):
        with pytest.raises(RunBusy):
            WriterLock(ledger_url).acquire()
        ledger.set_cap(2_000_000, "the lock is no transaction")
    with WriterLock(ledger_url):
        pass


def test_the_lock_of_a_killed_writer_is_free(ledger: Ledger, ledger_url: str) -> None:
    assert ledger.verify() == []
    command = [sys.executable, "-c", HOLDER, ledger_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:  # noqa: S603
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunBusy):
            WriterLock(ledger_url).acquire()
        holder.kill()
        holder.wait()
        for _ in range(50):
            with suppress(RunBusy), WriterLock(ledger_url):
                return
            time.sleep(0.1)  # the server takes a moment to notice
    pytest.fail("the lock stayed")


def test_ledgers_of_one_database_are_locked_each_for_itself(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.new_database()
    with WriterLock(f"{url}?schema=one"), WriterLock(f"{url}?schema=two"):
        pass


def test_a_lock_that_the_server_forgot_is_taken_again(postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    with WriterLock(url) as lock:
        lock.renew()
        postgres_server.kill()
        lock.renew()
        postgres_server.start()
        lock.renew()
        with pytest.raises(RunBusy):
            WriterLock(url).acquire()
        postgres_server.restart()
        with WriterLock(url), pytest.raises(RunBusy):
            lock.renew()


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match="Check the server"):
        WriterLock("postgresql://nobody@127.0.0.1:1/db").acquire()
