"""A ledger of an older Forgefield is brought up to date, with all that it holds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, text

from forgefield.storage.errors import StorageError
from forgefield.storage.ledger import Ledger, State, addresses
from forgefield.storage.ledger.database import Database
from forgefield.storage.records import Label
from forgefield.storage.testing import labelled, make_job

JOB = make_job(0)
VERSION_1 = """
CREATE TABLE budget (id INTEGER PRIMARY KEY, cap_micro BIGINT NOT NULL, spent_micro BIGINT NOT NULL,
    reserved_micro BIGINT NOT NULL, next_seq BIGINT NOT NULL,
    CONSTRAINT within_cap CHECK (spent_micro + reserved_micro <= cap_micro));
CREATE TABLE reservation (id {serial}, amount_micro BIGINT NOT NULL,
    opened_at DOUBLE PRECISION NOT NULL, closed_at DOUBLE PRECISION);
CREATE TABLE job (key VARCHAR(32) PRIMARY KEY, geometry VARCHAR(32) NOT NULL,
    tier VARCHAR(16) NOT NULL, method TEXT NOT NULL, purpose INTEGER NOT NULL,
    molecule TEXT NOT NULL, numbers {binary} NOT NULL, positions {binary} NOT NULL,
    charge INTEGER NOT NULL, multiplicity INTEGER NOT NULL, state VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL, reservation BIGINT NOT NULL REFERENCES reservation (id),
    failure_kind TEXT, failure_message TEXT);
CREATE TABLE attempt (seq BIGINT PRIMARY KEY, job VARCHAR(32) NOT NULL REFERENCES job (key),
    reservation BIGINT NOT NULL REFERENCES reservation (id), tier VARCHAR(16) NOT NULL,
    purpose INTEGER NOT NULL, done INTEGER NOT NULL, used_micro BIGINT NOT NULL,
    failure_kind TEXT, failure_message TEXT, at DOUBLE PRECISION NOT NULL);
CREATE TABLE inbox (seq BIGINT PRIMARY KEY REFERENCES attempt (seq),
    job VARCHAR(32) NOT NULL UNIQUE REFERENCES job (key), cost_micro BIGINT NOT NULL,
    energy DOUBLE PRECISION NOT NULL, forces {binary}, program TEXT NOT NULL,
    version TEXT NOT NULL, host TEXT NOT NULL, threads INTEGER NOT NULL,
    wall_s DOUBLE PRECISION NOT NULL, cpu_s DOUBLE PRECISION NOT NULL, diagnostics TEXT NOT NULL);
CREATE TABLE entry (id {serial}, at DOUBLE PRECISION NOT NULL, kind VARCHAR(16) NOT NULL,
    reservation BIGINT REFERENCES reservation (id), amount_micro BIGINT NOT NULL,
    note TEXT NOT NULL);
CREATE TABLE fact (name VARCHAR(200) PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO budget VALUES (1, 1000, 40, 0, 2);
INSERT INTO reservation (amount_micro, opened_at, closed_at) VALUES (100, 1.0, 2.0);
INSERT INTO entry (at, kind, reservation, amount_micro, note) VALUES (1.0, 'cap', NULL, 1000, ''),
    (1.0, 'reserve', 1, 100, ''), (2.0, 'label', 1, 40, ''), (2.0, 'release', 1, 60, '');
INSERT INTO fact VALUES ('ledger schema', '1');
"""
ROWS = """
INSERT INTO job VALUES (:key, :geometry, 'xtb', 'GFN2-xTB', 1, 'molecule 0', :numbers, :positions,
    0, 1, 'done', 1, 1, NULL, NULL);
INSERT INTO attempt VALUES (1, :key, 1, 'xtb', 1, 1, 40, NULL, NULL, 2.0);
INSERT INTO inbox VALUES (1, :key, 40, :energy, :forces, 'tblite', '0.8', 'node1', 2, 0.5, 0.5,
    '{"gap_eV": 5.0}');
"""


def make_version_1(url: str) -> None:
    """A ledger as the first Forgefield left it, with one settled label that isn't packed."""
    shape, label = JOB.configuration, labelled(JOB).result
    assert isinstance(label, Label)
    assert label.forces_A3 is not None
    values = {
        "key": JOB.key(),
        "geometry": shape.key(),
        "numbers": bytes(shape.numbers),
        "positions": shape.positions_A3.tobytes(),
        "energy": label.energy,
        "forces": label.forces_A3.tobytes(),
    }

    def make(connection: Connection) -> None:
        local = connection.dialect.name == "sqlite"
        kinds = {
            "serial": "INTEGER PRIMARY KEY AUTOINCREMENT" if local else "BIGSERIAL PRIMARY KEY",
            "binary": "BLOB" if local else "BYTEA",
        }
        if not local:
            connection.execute(text(f"CREATE SCHEMA {addresses.schema_of(addresses.parse(url))}"))
            connection.execute(
                text("CREATE TABLE receipt (writer TEXT PRIMARY KEY, token TEXT, at FLOAT)")
            )
        for statement in VERSION_1.format(**kinds).split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        for statement in ROWS.split(";\n"):
            if statement.strip():
                connection.execute(text(statement.replace('": 5', '"\\: 5')), values)

    database = Database(url, read_only=False)
    database.write(make)
    database.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_version_1_goes_on(ledger_url: str, read_only: bool) -> None:
    make_version_1(ledger_url)
    with Ledger(ledger_url, read_only=read_only) as ledger:
        assert ledger.verify() == []
        (frame,) = ledger.inbox()
        assert frame.job.key() == JOB.key()
        assert frame.label.forces_A3 is not None
        assert np.array_equal(frame.label.forces_A3, np.sin(JOB.configuration.positions_A3))
        assert frame.label.stress_33 is None
        assert ledger.balance().spent_micro == 40
    with Ledger(ledger_url) as ledger:
        ledger.withdraw([JOB.key()], "wrong")
        ledger.settle(ledger.reserve([JOB], 10), [labelled(JOB)], 10)
        assert [frame.seq for frame in ledger.inbox()] == [1, 3]
        assert ledger.job_states([JOB.key()])[JOB.key()].state is State.DONE
        assert ledger.verify() == []


def test_a_migration_that_is_cut_off_leaves_version_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forgefield.storage.ledger import migration

    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    make_version_1(url)
    shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "before.sqlite")

    class Cut(Exception):
        """The process dies here."""

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(migration, "update", cut)
        with pytest.raises(Cut):
            Ledger(url)
    with Ledger(url) as ledger:
        assert ledger.verify() == []
        assert len(ledger.inbox()) == 1


def test_a_ledger_of_a_newer_version_is_left_alone(ledger_url: str) -> None:
    Ledger(ledger_url).close()
    database = Database(ledger_url, read_only=False)
    database.write(lambda c: c.execute(text("UPDATE fact SET value = '99'")))
    database.close()
    for read_only in (False, True):
        with pytest.raises(StorageError, match="schema 99"):
            Ledger(ledger_url, read_only=read_only)
