"""Where the ledger of a run lies: in its folder, or in a database that was named once.

What was named is kept in the run folder, so that every later command finds it. A password is used
and not kept: it goes to the environment of this process, as if it had been set there. The ledger in
turn remembers whose it is: of a folder and its copy only one may write to it.
"""

import json
import os
import platform
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.storage.errors import InputError
from forgefield.storage.ledger import Ledger, addresses
from forgefield.storage.ledger.writer_lock import WriterLock

OWNER_FACT = "run folder"
LONGEST_NAME = 40
Owner = dict[str, str]


def claim_ledger(folder: RunFolder, url: str | None) -> None:
    """Keep the run's books at `url`, for good; None leaves them where they are.

    Named again, it tells the ledger that its folder was moved here from another machine. Raises
    `InputError` where the run has its ledger elsewhere, or `url` is the ledger of another run, and
    `StorageError` where the database can't be used; then nothing is kept.
    """
    if url is None:
        return
    password = addresses.password_of(url)
    if password is not None:
        os.environ["PGPASSWORD"] = password
    place = _absolute(addresses.kept_url(url))
    if folder.has_ledger:
        _refuse_another(folder, place)
        with Ledger(folder.ledger_url) as ledger:
            check_owner(folder, ledger, from_anywhere=True)
        return
    name = f"{folder.root.name[:LONGEST_NAME]}_{uuid.uuid4().hex[:8]}"
    place = addresses.with_schema(place, name)
    me = _owner(folder, uuid.uuid4().hex)
    _take_over(me, place)
    write_atomically(folder.ledger_elsewhere, json.dumps({"url": place, "run": me["run"]}) + "\n")


@contextmanager
def writing_ledger(folder: RunFolder) -> Iterator[Ledger]:
    """The ledger of a run for its only writer; raises as `check_owner`, and `RunBusy`."""
    with Ledger(folder.ledger_url) as ledger:
        check_owner(folder, ledger)
        with WriterLock(folder.ledger_url):
            yield ledger


def check_owner(folder: RunFolder, ledger: Ledger, *, from_anywhere: bool = False) -> None:
    """Raise `InputError` unless a ledger that lies elsewhere is this folder's.

    A folder that was moved takes its ledger along, on the same machine by itself.
    """
    if not folder.ledger_elsewhere.exists():
        return
    me = _owner(folder, _identity(folder.ledger_elsewhere))
    if ledger.get_fact(OWNER_FACT) == me:
        return
    unused = not ledger.overview(0).count
    ledger.change_fact(OWNER_FACT, _next_owner(me, unused=unused, from_anywhere=from_anywhere))


def _refuse_another(folder: RunFolder, place: str) -> None:
    if not addresses.same_place(place, folder.ledger_url):
        known = addresses.shown(addresses.parse(folder.ledger_url))
        raise InputError(
            f"The ledger of {folder.root} is {known} and stays there. Leave --ledger out, or "
            "start anew with another --workdir."
        )


def _take_over(me: Owner, place: str) -> None:
    """Write down whose a new ledger is; asked and answered in one transaction."""
    with Ledger(place) as ledger:
        unused = not ledger.overview(0).count

        def take(known: Any) -> Owner:  # noqa: ANN401
            owner = _read_owner(known)
            if owner is None:
                free = unused
            else:
                died_here = owner["host"] in {"", me["host"]}
                free = owner["folder"] == me["folder"] and (unused or died_here)
            if free:
                return me
            raise _another_run(addresses.shown(addresses.parse(place)), owner)

        ledger.change_fact(OWNER_FACT, take)


def _next_owner(me: Owner, *, unused: bool, from_anywhere: bool) -> Callable[[Any], Owner]:
    def judge(known: Any) -> Owner:  # noqa: ANN401
        owner = _read_owner(known)
        if owner is None and unused:
            return me
        if owner is None or owner["run"] not in {"", me["run"]}:
            raise _another_run(f"What {me['folder']} names", owner)
        if owner["folder"] == me["folder"]:
            return me
        if _identity(Path(owner["folder"]) / "ledger.json") == me["run"]:
            raise InputError(
                f"{me['folder']} is a copy of {owner['folder']}, whose ledger it shares. Go on "
                "there, or start a run of its own with another --workdir."
            )
        if owner["host"] not in {"", me["host"]} and not from_anywhere:
            raise InputError(
                f"The ledger belongs to {owner['folder']} on {owner['host']}. If that folder was "
                f"moved to {me['folder']} and is gone there, name the ledger once more with "
                "--ledger."
            )
        return me

    return judge


def _another_run(place: str, owner: Owner | None) -> InputError:
    whose = f" ({owner['folder']})" if owner else ""
    return InputError(
        f"{place} is the ledger of another run{whose}. Name another ?schema= or leave it out."
    )


def _owner(folder: RunFolder, run: str) -> Owner:
    return {"folder": str(folder.root), "host": platform.node(), "run": run}


def _read_owner(known: Any) -> Owner | None:  # noqa: ANN401
    """The fact as it is kept, or only a folder, as it was kept at first."""
    if known is None:
        return None
    if not isinstance(known, dict):
        known = {"folder": known}
    return {name: str(known.get(name, "")) for name in ("folder", "host", "run")}


def _identity(ledger_elsewhere: Path) -> str:
    """What tells a run from others of the same name; nothing where there is no such file."""
    try:
        return str(json.loads(ledger_elsewhere.read_text(encoding="utf-8")).get("run", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _absolute(url: str) -> str:
    parsed = addresses.parse(url)
    if not addresses.is_local(parsed):
        return url
    if not parsed.database or parsed.database == ":memory:":
        raise InputError(f"A ledger in memory would be lost. Write {addresses.FORMS}.")
    path = Path(parsed.database).expanduser().resolve()
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent} for the ledger. Make it first.")
    return addresses.sqlite_url(path)
