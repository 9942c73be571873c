"""Where a ledger lies: database URLs as people write them, and as they may be kept.

`sqlite:////path/ledger.sqlite`, or `postgresql://user@host/database?schema=run`: several runs share
a database, each in a schema of its own. A password is used and never kept: `kept_url` leaves it
out, and PostgreSQL's own means (`~/.pgpass`, `PGPASSWORD`, `PGSERVICE`) give it the next time.
"""

import re
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from forgefield.storage.errors import InputError

SCHEMA = "schema"
LONGEST_NAME = 63
FORMS = "sqlite:////path/ledger.sqlite or postgresql://user@host/database"
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def parse(url: str, what: str = "ledger") -> URL:
    """A URL with its driver; raises `InputError` without repeating a password."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise InputError(f"{_masked(url)!r} is no database URL. Write {FORMS}.") from error
    if backend not in {"sqlite", *_DRIVERS}:
        raise InputError(f"A {what} can't be kept in {backend!r}. Write {FORMS}.")
    if any("password" in name for name in parsed.query):
        raise InputError("Write no password behind the ? of a URL. Use ~/.pgpass or PGPASSWORD.")
    if not parsed.database and backend != "sqlite":
        raise InputError(f"{shown(parsed)} names no database. Write {FORMS}.")
    if "?" in url and backend == "sqlite":
        raise InputError(f"{_masked(url)!r} has something behind its ?. In a path, write ? as %3F.")
    schema_of(parsed)
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, whatever characters its path holds."""
    return full(URL.create("sqlite", database=str(path)))


def is_local(url: URL) -> bool:
    """Whether the database is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def schema_of(url: URL) -> str:
    """The schema that a URL names, or nothing; raises `InputError` for an unusable name."""
    name = url.query.get(SCHEMA, "")
    if name and not (isinstance(name, str) and re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name)):
        raise InputError(
            f"{name!r} is no name for a schema. Use small letters, digits and _, up to 63."
        )
    return str(name)


def with_schema(url: str, name: str) -> str:
    """The URL with a schema, made from `name`, unless it names one or is a file's."""
    parsed = parse(url)
    if is_local(parsed) or schema_of(parsed):
        return url
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[: LONGEST_NAME - 4]
    return full(make_url(url).update_query_dict({SCHEMA: f"run_{plain}"}))


def kept_url(url: str) -> str:
    """The URL without its password; raises `InputError`."""
    parse(url)
    return full(_without_password(make_url(url)))


def same_place(one: str, other: str) -> bool:
    """Whether two URLs name the same ledger; a schema counts where both name one."""
    first, second = parse(one), parse(other)
    schemas = {schema_of(first), schema_of(second)} - {""}
    places = {(u.drivername, u.username, u.host, u.port, u.database) for u in (first, second)}
    return len(schemas) <= 1 and len(places) == 1


def password_of(url: str) -> str | None:
    """The password that a URL holds, if any; raises `InputError`."""
    password = parse(url).password
    return None if password is None else str(password)


def shown(url: URL) -> str:
    """A URL for messages: without password, driver and all else but place and schema."""
    plain = _without_password(url).set(drivername=url.get_backend_name())
    return full(plain.set(query={k: v for k, v in url.query.items() if k == SCHEMA}))


def full(url: URL) -> str:
    """A URL as text, password included where it has one."""
    return url.render_as_string(hide_password=False)


def _without_password(url: URL) -> URL:
    """`URL.set` can't take a part away."""
    return URL.create(
        url.drivername,
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    )


def _masked(text: str) -> str:
    return re.sub(r":[^:@/]*@", ":***@", text)[:200]
