"""`platform audit` on a run whose labels are real, right ones and doctored ones.

Only the campaign is missing: labels of water go through ledger and frame store as they are.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from forgefield.labelers.labeler import ENERGY_ONLY
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.platform.auditing.limits import LIMITS
from forgefield.platform.cli import main
from forgefield.platform.planning.molecule_document import to_document
from forgefield.platform.planning.recipe import Methods
from forgefield.platform.planning.request import FolderIdentity
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import AuditFailed
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Outcome,
    Provenance,
    Purpose,
    Tier,
)

METHODS = Methods(dft="PBE/STO-3G, grid 1", ccsd="CCSD(T)/STO-3G, frozen core")
WATER = find_molecule("water")
LABELS = 8
WRONG = AuditFailed.exit_code


def geometries(number: int) -> list[Array]:
    random = np.random.default_rng(3)
    return [WATER.positions_A3 + random.normal(0, 0.05, (3, 3)) for _ in range(number)]


def new_run(root: Path) -> RunFolder:
    folder = RunFolder.at(root)
    folder.create()
    claim = FolderIdentity(molecule=to_document(WATER), methods=METHODS)
    folder.request.write_text(claim.model_dump_json())
    with Ledger(folder.ledger_url) as ledger:
        ledger.set_cap(10**12, "test")
    return folder


def buy(
    folder: RunFolder, method: str, shapes: list[Array], *, packed: bool = True
) -> tuple[Job, ...]:
    labeler = labeler_for(method)
    labeler.prepare(WATER)
    shape = [Configuration("water", WATER.numbers, positions) for positions in shapes]
    jobs = [Job(each, labeler.method, Purpose.TRAIN) for each in shape]
    settle(folder, [Outcome(job, labeler.label(job.configuration)) for job in jobs], packed=packed)
    return tuple(jobs)


def settle(folder: RunFolder, outcomes: list[Outcome], *, packed: bool = True) -> None:
    with (
        Ledger(folder.ledger_url) as ledger,
        FrameStore.open_for_writing(folder.frames) as store,
    ):
        held = ledger.reserve([outcome.job for outcome in outcomes], 10**8)
        ledger.settle(held, outcomes, 10**6)
        if packed:
            pack(ledger, store)


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Eight labels a tier, those of CCSD(T) still in the ledger's inbox."""
    folder = new_run(tmp_path_factory.mktemp("audit") / "run")
    for tier in Tier:
        buy(folder, METHODS.of(tier), geometries(LABELS), packed=tier is not Tier.CCSD)
    return folder


def copied(folder: RunFolder, to: Path) -> RunFolder:
    return RunFolder.at(shutil.copytree(folder.root, to / "copy"))


def audit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, dict[str, Any]]:
    """Exit code, and what was said."""
    monkeypatch.setattr("sys.argv", ["platform", "audit", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return int(end.value.code or 0), json.loads(said.out)


def contents(folder: RunFolder) -> dict[str, bytes]:
    found = (path for path in folder.root.rglob("*") if path.is_file())
    return {
        str(path): path.read_bytes()
        for path in found
        if path.suffix not in (".lock", ".sqlite-shm")
    }


def doctor(folder: RunFolder, array: str, row: int, change: Array | float) -> None:
    group = zarr.open_group(folder.frames, mode="r+", use_consolidated=False)
    values: Any = group[array]
    values[row] = values[row] + change


def test_right_labels_pass_and_the_run_stays_as_it_is(
    bought: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(bought)
    code, said = audit(capsys, monkeypatch, bought.root)
    assert code == 0
    assert contents(bought) == before
    assert [(tier["tier"], tier["labels"]) for tier in said["tiers"]] == [(t, LABELS) for t in Tier]
    for tier in said["tiers"]:
        limits = LIMITS[Tier(tier["tier"])]
        assert len(tier["checks"]) == 2
        for check in tier["checks"]:
            assert check["problem"] == ""
            assert check["energy_change"] <= limits.energy
            assert check["force_change"] <= limits.force / 3
            assert 0 < check["slope_error"] <= limits.slope / 3
    assert said["flags"] == []
    assert 0 < said["tiers"][-1]["diagnostics"]["t1"] < 0.02
    assert said["tiers"][-1]["diagnostics"]["lambda_iterations"] > 2


def test_the_same_seed_draws_the_same_labels(
    bought: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(seed: int) -> list[int]:
        words = (bought.root, "--tiers", "empirical,xtb", "-n", 3, "--seed", seed)
        code, said = audit(capsys, monkeypatch, *words)
        assert code == 0
        return [check["seq"] for tier in said["tiers"] for check in tier["checks"]]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("array", "row", "change", "words"),
    [
        ("forces", (LABELS + 5) * 3 + 1, np.array([0.0, 0.01, 0.0]), "a force component differs"),
        ("forces", (LABELS + 5) * 3 + 1, np.array([np.nan, 0.0, 0.0]), "a force component differs"),
        ("positions", (LABELS + 5) * 3, np.array([0.0, 0.0, 1e-7]), "isn't the one that was bough"),
    ],
)
def test_a_label_with_a_trace_is_a_suspect_whatever_is_drawn(
    bought: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    array: str,
    row: int,
    change: Array,
    words: str,
) -> None:
    """0.01 eV/Å is 0.23 kcal/mol/Å on one atom, and leaves a sum of that size."""
    folder = copied(bought, tmp_path)
    doctor(folder, array, row, change)
    seq = int(load_frames(folder.frames, purposes=tuple(Purpose)).seq_F[LABELS + 5])
    for seed in range(3):
        asked = (folder.root, "--tiers", "xtb", "-n", 1, "--seed", seed)
        code, said = audit(capsys, monkeypatch, *asked)
        assert code == WRONG
        wrong = {c["seq"]: c["problem"] for c in said["tiers"][0]["checks"] if c["problem"]}
        assert list(wrong) == [seq]
        assert words in wrong[seq]


def test_balanced_forces_and_shifted_energies_are_seen_where_they_are_drawn(
    bought: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = copied(bought, tmp_path)
    frames = load_frames(folder.frames, purposes=tuple(Purpose))
    oxygen, hydrogen = LABELS * 3, LABELS * 3 + 1
    bond_3 = frames.positions_A3[hydrogen] - frames.positions_A3[oxygen]
    doctor(folder, "forces", oxygen, 0.01 * bond_3)
    doctor(folder, "forces", hydrogen, -0.01 * bond_3)
    doctor(folder, "energy", 2 * LABELS, 1e-4)
    monkeypatch.setattr("sys.argv", ["platform", "audit", str(folder.root), "-n", str(LABELS)])
    with pytest.raises(SystemExit) as end:
        main()
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert end.value.code == WRONG
    assert f"label {frames.seq_F[LABELS]} (xtb, train, job " in said
    assert "forces miss the energies' slope by" in said
    assert f"label {frames.seq_F[2 * LABELS]} (dft, train, job " in said
    assert "energy differs by 0.00231 kcal/mol (at most 0.0001)" in said
    assert "2 of 32 labels are wrong." in said


def test_a_large_t1_is_pointed_at_and_an_energy_has_no_slope(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(tmp_path / "run")
    stretched = np.array([[0, 0, 0], [1.9, 0, 0], [-0.476, 1.839, 0]])
    buy(folder, METHODS.ccsd, [stretched])
    buy(folder, "GFN2-xTB" + ENERGY_ONLY, geometries(2))
    code, said = audit(capsys, monkeypatch, folder.root)
    assert code == 0
    (flag,) = said["flags"]
    assert flag["reason"].startswith("T1 = 0.025")
    assert "Lee & Taylor 1989" in flag["reason"]
    xtb = said["tiers"][0]["checks"]
    assert [check["slope_error"] for check in xtb] == [None, None]
    assert all(check["energy_change"] < 1e-6 for check in xtb)


def test_a_label_that_cannot_be_made_again_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, labeler = new_run(tmp_path / "run"), labeler_for("GFN2-xTB")
    overlap = Configuration("water", WATER.numbers, np.zeros((3, 3)))
    origin = Provenance("tblite", labeler.version, "elsewhere", 1, 1.0, 1.0)
    job = Job(overlap, labeler.method, Purpose.TRAIN)
    settle(folder, [Outcome(job, Label(-138.0, np.zeros((3, 3)), origin))])
    code, said = audit(capsys, monkeypatch, folder.root)
    assert code == WRONG
    assert "BadConfiguration: two atoms" in said["tiers"][0]["checks"][0]["problem"]


def test_a_quote_computes_nothing(
    bought: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgefield.labelers.labeler.Labeler.label", None)
    code, one = audit(capsys, monkeypatch, bought.root, "--estimate", "-n", 2, "--tiers", "dft")
    assert code == 0
    _, two = audit(capsys, monkeypatch, bought.root, "--estimate", "-n", 4, "--tiers", "dft")
    assert two["core_seconds"] > one["core_seconds"] > one["wall_s"] - 1e-9 > 0
    assert [tier["checked"] for tier in two["tiers"]] == [4]


def test_bad_input_is_explained(
    bought: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = new_run(tmp_path / "empty").root
    for words, reason in (
        ((tmp_path / "nowhere",), "not a run folder"),
        ((empty,), "no labels of empirical, xtb, dft, ccsd to audit yet"),
        ((bought.root, "--tiers", "dtf"), "'dtf' is no tier"),
    ):
        code, said = audit(capsys, monkeypatch, *words)
        assert code == 2
        assert reason in said["error"]["message"]
