"""Where the label book lies, and runs that have to go without one."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from desks import Desk

from forgefield.platform.book_places import BookPlace, book_place, with_book
from forgefield.platform.buying.shared_labels import SharedLabels
from forgefield.platform.planning.recipe import LabelSettings, Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.ledger import Ledger
from forgefield.storage.testing import CCSD, make_jobs


def test_a_default_book_that_breaks_is_gone_without_from_then_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "a", tmp_path / "labels.sqlite", required=False)
    jobs = make_jobs(0, 2, CCSD)
    with closing(sqlite3.connect(tmp_path / "labels.sqlite")) as connection:
        connection.execute("DROP TABLE taken")
        connection.execute("DROP TABLE label")
        connection.commit()
    desk.buy(jobs[:1], 20.0)
    assert desk.ask(jobs[1:], claim=True).granted == (jobs[1].key(),)
    desk.release(None)
    (said,) = desk.news()
    assert said.startswith("No label book from here on: The label book sqlite:")
    needed = Desk(tmp_path / "b", tmp_path / "b.sqlite")
    with closing(sqlite3.connect(tmp_path / "b.sqlite")) as connection:
        connection.execute("DROP TABLE label")
        connection.commit()
    with pytest.raises(StorageError, match="label book"):
        needed.ask(jobs, claim=True)
    desk.ledger.close()
    needed.ledger.close()


def test_without_a_book_everything_is_granted(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "alone", None)
    jobs = make_jobs(0, 2, CCSD)
    assert desk.ask(jobs, claim=True).granted == tuple(job.key() for job in jobs)
    desk.buy(jobs, 1.0)
    desk.release(None)
    assert desk.known(jobs) == ()
    assert not list(tmp_path.glob("*.sqlite"))
    desk.ledger.close()


def test_a_default_book_that_can_t_be_had_is_gone_without(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    place = BookPlace(str(tmp_path / "blocked" / "labels.sqlite"), tmp_path, 0.1, required=False)
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        optional = SharedLabels(ledger, tmp_path / "frames.zarr", place)
        assert optional.open() is None
        assert "label book" in optional.trouble
        needed = SharedLabels(ledger, tmp_path / "frames.zarr", replace(place, required=True))
        with pytest.raises((InputError, StorageError)):
            needed.open()


def test_where_the_book_lies(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "runs" / "one")
    beside = book_place(folder, LabelSettings())
    assert beside is not None
    assert (beside.place, beside.required) == (str(tmp_path / "runs" / "labels.sqlite"), False)
    named = with_book(Recipe(), str(tmp_path / "mine.sqlite"), none=False)
    elsewhere = book_place(folder, named.labels)
    assert elsewhere is not None
    assert (elsewhere.place, elsewhere.required) == (str(tmp_path / "mine.sqlite"), True)
    assert book_place(folder, with_book(named, None, none=True).labels) is None
    assert with_book(named, None, none=False) is named
    server = with_book(Recipe(), "postgresql://me@host/labels", none=False)
    assert book_place(folder, server.labels) == BookPlace(
        "postgresql://me@host/labels", folder.root, 0.1, required=True
    )
    with pytest.raises(InputError, match="pgpass"):
        with_book(Recipe(), "postgresql://me:secret@host/labels", none=False)
    with pytest.raises(InputError, match="not both"):
        with_book(Recipe(), "x", none=True)
