"""`platform export`: the chosen frames in the chosen format, without the hold-out unless asked."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.platform.data_sets.splitting import split_folder
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import ForgefieldError
from forgefield.storage.formats.catalogue import FORMATS
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Outcome, Purpose
from forgefield.storage.splitting import SplitSettings
from forgefield.storage.testing import CCSD, XTB, labelled, make_job

COUNTS = {Purpose.TRAIN: 5, Purpose.VALIDATION: 2, Purpose.HOLDOUT: 3}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with frames of two methods and three purposes, all of one molecule."""
    outcomes: list[Outcome] = []
    for method in (XTB, CCSD):
        for purpose, count in COUNTS.items():
            first = 30 * len(outcomes)
            numbers = range(first, first + 3 * count, 3)
            outcomes += [labelled(make_job(n, method, purpose)) for n in numbers]
    (tmp_path / "run").mkdir()
    with (
        Ledger(f"sqlite:///{tmp_path}/run/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(tmp_path / "run" / "frames.zarr") as store,
    ):
        ledger.adopt(outcomes, "test")
        pack(ledger, store)
    return tmp_path / "run"


def export(run: Path, out: Path, *words: str) -> tuple[dict[str, object], str]:
    """The report, and what was said on the side."""
    command = ["export", str(run), "-o", str(out), "--json", *words]
    answer = CliRunner().invoke(app, command, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout.splitlines()[-1]), answer.stderr


def test_the_holdout_stays_at_home_unless_asked_for(run: Path, tmp_path: Path) -> None:
    done, said = export(run, tmp_path / "out.xyz")
    assert (done["frames"], done["holdout_left_out"]) == (14, 6)
    assert "6 frames of the hold-out were left out" in " ".join(said.split())
    images = ase.io.read(tmp_path / "out.xyz", ":")
    assert {image.info["purpose"] for image in images} == {"train", "validation"}
    done, said = export(run, tmp_path / "out.xyz", "--purpose", "all")
    assert (done["frames"], done["holdout_left_out"]) == (20, 0)
    assert "left out" not in said
    done, _ = export(run, tmp_path / "h.xyz", "--purpose", "holdout", "--tier", "ccsd")
    assert done["frames"] == 3


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.write])
def test_every_format_is_written_from_a_run(name: str, run: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out{FORMATS[name].suffixes[0]}"
    done, _ = export(run, out, "--method", CCSD.name)
    assert done == {
        "path": str(out),
        "format": name,
        "frames": 7,
        "methods": [CCSD.name],
        "holdout_left_out": 3,
    }
    assert out.exists()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "out.npz"], '--method "GFN2-xTB" or --method "CCSD'),
        (["-o", "out.deepmd"], "holds one method"),
        (["-o", "out.xyz", "--method", "PBE"], "Choose from GFN2-xTB, CCSD"),
        (["-o", "out.xyz", "--tier", "dft"], "no frames of these"),
        (["-o", "out.xyz", "--tier", "best"], "'best' is no tier"),
        (["-o", "out.xyz", "--purpose", "fun"], "'fun' is no purpose"),
        (["-o", "out.what"], "Name it with --format"),
        (["-o", "out.xyz", "--format", "what"], "Choose from extxyz"),
        (["-o", "out.release", "--licence", "mine"], "no licence"),
        (["-o", "nowhere/out.xyz"], "Can't write"),
        (["-o", "nowhere/out.h5"], "no folder"),
        (["-o", "memory://out.h5", "-f", "hdf5"], "address"),
    ],
)
def test_mistakes_are_explained_and_write_nothing(
    words: list[str], said: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["export", str(run), *words])
    assert isinstance(answer.exception, ForgefieldError)
    assert said in str(answer.exception)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_a_release_keeps_the_numbers_and_marks_the_splits(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out", "--format", "release", "--purpose", "all", "--title", "Mine")
    text = (tmp_path / "out" / "README.md").read_text()
    assert text.splitlines()[4] == "# Mine"
    for name, count in (("train", 10), ("validation", 4), ("test", 6)):
        lines = np.loadtxt(
            tmp_path / "out" / "splits" / f"{name}.csv", delimiter=",", dtype=str, skiprows=1
        )
        assert len(lines) == count


def test_a_split_is_chosen_and_stated(run: Path, tmp_path: Path) -> None:
    words = ["export", str(run), "-o", str(tmp_path / "x.xyz"), "--split"]
    answer = CliRunner().invoke(app, [*words, "train"])
    assert "isn't split" in str(answer.exception)
    split_folder(RunFolder.existing(run), SplitSettings(validation=0.3, test=0.3))
    everything, _ = export(run, tmp_path / "all.xyz", "--purpose", "all")
    count, seen = 0, set()
    for name in ("train", "validation", "test"):
        out = tmp_path / f"{name}.xyz"
        done, _ = export(run, out, "--split", name, "--purpose", "all")
        images = ase.io.read(out, ":")
        assert {image.info["split"] for image in images} == {name}
        seen |= {image.info["seq"] for image in images}
        count += int(str(done["frames"]))
    assert count == len(seen) == everything["frames"]
    answer = CliRunner().invoke(app, [*words, "fun"])
    assert "is no split" in str(answer.exception)


def test_the_card_says_how_the_split_was_made(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "before", "--format", "release")
    assert "Split by" not in (tmp_path / "before" / "README.md").read_text()
    settings = SplitSettings(validation=0.2, test=0.3, seed=7)
    split_folder(RunFolder.existing(run), settings)
    export(run, tmp_path / "after", "--format", "release", "--purpose", "all")
    assert f"Split by: {settings}." in (tmp_path / "after" / "README.md").read_text()
