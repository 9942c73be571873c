"""URLs of ledgers: what is taken, what is kept, and that no password is shown."""

import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.ledger import addresses

SECRET = "postgresql://me:hush@host:5433/db?sslmode=require"  # noqa: S105 - made up


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "mysql://me:hush@host/db",
        "postgresql://me:hush@host",
        "postgresql://me:hush@host:port/db",
        "postgresql://host/db?password=hush",
        "postgresql://me:hush@host/db?schema=Robert; DROP",
    ],
)
def test_a_bad_url_is_the_users_mistake_and_shows_no_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        addresses.parse(url)
    assert "hush" not in str(caught.value)


def test_the_password_is_used_and_not_kept() -> None:
    assert addresses.password_of(SECRET) == "hush"
    assert addresses.kept_url(SECRET) == "postgresql://me@host:5433/db?sslmode=require"
    assert addresses.shown(addresses.parse(SECRET)) == "postgresql://me@host:5433/db"
    assert addresses.parse("postgres://host/db").drivername == "postgresql+psycopg"


def test_each_run_gets_a_schema_of_its_own() -> None:
    made = addresses.with_schema("postgresql://host/db", "Methanol 20ccsd_1a2b")
    assert made == "postgresql://host/db?schema=run_methanol_20ccsd_1a2b"
    assert addresses.with_schema(made, "another") == made
    assert addresses.with_schema("sqlite:////tmp/x.sqlite", "run") == "sqlite:////tmp/x.sqlite"
    longest = addresses.with_schema("postgresql://host/db", "x" * 200)
    assert len(addresses.schema_of(addresses.parse(longest))) == 63


def test_the_same_place_by_another_spelling() -> None:
    kept = "postgresql://me@host/db?schema=run_a"
    assert addresses.same_place("postgres://me:hush@host/db", kept)
    assert not addresses.same_place("postgres://me@host/db?schema=run_b", kept)
    assert not addresses.same_place("postgres://me@elsewhere/db", kept)
