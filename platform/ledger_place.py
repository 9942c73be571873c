"""Where the ledger of a run lies: in its folder, or in a database that was named once.

What was named is kept in the run folder, so that every later command finds it. A password is used
and not kept: it goes to the environment of this process, as if it had been set there.
"""

import json
import os
import uuid
from pathlib import Path

from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.storage.errors import InputError
from forgefield.storage.ledger import Ledger, addresses

OWNER_FACT = "run folder"
LONGEST_NAME = 40


def claim_ledger(folder: RunFolder, url: str | None) -> None:
    """Keep the run's books at `url`, for good; None leaves them where they are.

    Raises `InputError` where the run has its ledger elsewhere, or `url` is the ledger of another
    run, and `StorageError` where the database can't be used; then nothing is kept.
    """
    if url is None:
        return
    password = addresses.password_of(url)
    if password is not None:
        os.environ["PGPASSWORD"] = password
    place = _absolute(addresses.kept_url(url))
    if folder.has_ledger:
        _refuse_another(folder, place)
        return
    name = f"{folder.root.name[:LONGEST_NAME]}_{uuid.uuid4().hex[:8]}"
    place = addresses.with_schema(place, name)
    _take_over(folder, place)
    write_atomically(folder.ledger_elsewhere, json.dumps({"url": place}) + "\n")


def _refuse_another(folder: RunFolder, place: str) -> None:
    if not addresses.same_place(place, folder.ledger_url):
        known = addresses.shown(addresses.parse(folder.ledger_url))
        raise InputError(
            f"The ledger of {folder.root} is {known} and stays there. Leave --ledger out, or "
            "start anew with another --workdir."
        )


def _take_over(folder: RunFolder, place: str) -> None:
    with Ledger(place) as ledger:
        owner = ledger.get_fact(OWNER_FACT)
        if owner != str(folder.root) and (owner is not None or ledger.overview(0).count):
            raise InputError(
                f"{addresses.shown(addresses.parse(place))} is the ledger of another run"
                f"{f' ({owner})' if owner else ''}. Name another ?schema= or leave it out."
            )
        ledger.put_fact(OWNER_FACT, str(folder.root))


def _absolute(url: str) -> str:
    parsed = addresses.parse(url)
    if not addresses.is_local(parsed):
        return url
    if not parsed.database or parsed.database == ":memory:":
        raise InputError(f"A ledger in memory would be lost. Write {addresses.FORMS}.")
    path = Path(parsed.database).expanduser().resolve()
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent} for the ledger. Make it first.")
    return f"sqlite:///{path}"
