"""The page: it needs nothing else, and says what is missing whatever state the run is in."""

import re
import shutil
from pathlib import Path

import pytest
from report_runs import TIMELINE, Page, buy, copy_of, note, read, toy_plan

from forgefield.platform.reporting.report import write_report
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.run_spans import spans_of
from forgefield.storage.errors import InputError
from forgefield.storage.ledger import Ledger


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    loading = ("src", "srcset", "data", "poster", "xlink:href", "href", "action", "background")
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "image"}
        for name in loading:
            where = attributes.get(name)
            assert where is None or where.startswith("#") or tag == "a", (tag, name, where)
    assert not re.search(r"url\((?!#)|@import|@font-face", " ".join(page.text.values()))


def test_figures_have_words_and_ids_of_their_own(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(drawings) >= 8
    assert len(ids) == len(set(ids))
    assert all(drawing["aria-labelledby"] in ids for drawing in drawings)
    used = {
        str(attributes.get(name))[1:]
        for _, attributes in page.tags
        for name in ("href", "xlink:href")
        if str(attributes.get(name)).startswith("#")
    }
    assert used <= set(ids)


def test_the_same_run_gives_the_same_bytes(reported: RunFolder, tmp_path: Path) -> None:
    first = write_report(reported, tmp_path / "first.html").read_bytes()
    assert write_report(reported, tmp_path / "second.html").read_bytes() == first


def test_a_moved_run_finds_its_force_fields(reported: RunFolder, tmp_path: Path) -> None:
    moved = copy_of(reported, tmp_path)
    outcome = (moved.training / "outcome.json").read_text()
    gone = outcome.replace(str(reported.training), "/elsewhere/training")
    assert gone != outcome
    (moved.training / "outcome.json").write_text(gone)
    said = read(write_report(moved, moved.report)).text
    assert "accurate labels trained on" in said["learning"]
    assert "bias B of a cheap label" in said["weights"]


def test_hostile_names_and_messages_stay_text(reported: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(reported, tmp_path)
    name = "<script>alert('x')</script>\"&{{ 7*7 }}$x$"
    folder.plan.write_text(toy_plan(folder, name).model_dump_json())
    page = read(write_report(folder, folder.report))
    assert name in page.text["header"]
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [tag for tag, _ in page.tags if tag == "did"]


@pytest.mark.parametrize("step", ["begun", "planned", "labelled", "trained"])
def test_an_unfinished_run_says_what_is_missing(
    tmp_path: Path, reported: RunFolder, step: str
) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    plan = toy_plan(folder)
    if step == "begun":
        Ledger(folder.ledger_url).close()
    if step == "planned":
        folder.plan.write_text(plan.model_dump_json())
        buy(folder, plan, {}, failures=0)
    if step in {"labelled", "trained"}:
        folder = copy_of(reported, tmp_path)
        folder.evaluation.unlink()
        shutil.rmtree(folder.force_field)
    if step == "labelled":
        shutil.rmtree(folder.training)
        note(folder, TIMELINE[:-6])
    page = read(write_report(folder, folder.report))
    assert "not evaluated yet" in page.text["main"]
    assert "no trained force field yet" in page.text["parity"]
    assert "no force field to use yet" in page.text["use"]
    assert ("None: every label" in page.text["failures"]) == (step in {"begun", "planned"})
    assert ("not finished" in page.text["timeline"]) == (step == "labelled")


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    reported: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")

    def torn(_: Path, __: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", torn)
    with pytest.raises(InputError, match="No space left"):
        write_report(reported, out)
    assert out.read_text() == "old"


def test_foreign_files_are_named(reported: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(reported, tmp_path)
    folder.evaluation.write_text("{}")
    with pytest.raises(InputError, match=r"evaluation\.json"):
        write_report(folder, folder.report)


def test_spans_of_a_run_that_died_and_went_on() -> None:
    events = [
        {"time": 0.0, "event": "ray is up"},
        {"time": 1.0, "event": "labelling began"},
        {"time": 50.0, "event": "ray is up"},
        {"time": 51.0, "event": "labelling began"},
        {"time": 61.0, "event": "labelling ended"},
        {"time": 62.0, "event": "training began"},
    ]
    spans = spans_of(events, bought_at=[5.0, 40.0, 60.0, 70.0])
    assert [(span.name, span.finished) for span in spans] == [
        ("labelling", False), ("labelling", True), ("training", False)
    ]  # fmt: skip
    assert (spans[0].start, spans[0].end) == (1.0, 40.0)
    assert spans[2].end == 70.0
    assert spans[1].seconds == 10.0
