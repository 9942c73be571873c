"""Test frames from files: what they are compared with is said, and what can't be is refused."""

import io
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console

from forgefield.platform.evaluating import Errors, Evaluation, evaluate_run, verdict
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.showing.console import show_evaluation
from forgefield.storage.errors import InputError
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import (
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings

OWN, OTHER = "CCSD(T)/cc-pVDZ, frozen core", "PBE/def2-SVP"
WATER = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with two force fields of water, untrained, that imitate `OWN`."""
    run = RunFolder.at(tmp_path / "run")
    run.create()
    for seed, place in enumerate((run.force_field, run.baseline)):
        model = EGNNSettings(layers=1, channels=8, elements=(1, 8))
        metadata = Metadata(
            method=OWN, scale=1.0, references={1: -13.0, 8: -2000.0}, model=model, seed=seed
        )
        ForceField.fresh(metadata).save(place)
    return run


def exported(path: Path, *methods: str) -> Path:
    """A file as `platform export` writes it, a frame a method."""
    random = np.random.default_rng(0)
    origin = Provenance("test", "1", "here", 1, 1.0, 1.0)
    stored = []
    for seq, name in enumerate(methods):
        shape = WATER + random.normal(scale=0.03, size=WATER.shape)
        job = Job(Configuration("water", (8, 1, 1), shape), Method(Tier.DFT, name), Purpose.TRAIN)
        label = Label(-2026.0, random.normal(size=WATER.shape), origin)
        stored.append(StoredFrame(seq, job, label, 1))
    write_extended_xyz(from_stored(stored), path)
    return path


def images(**settings: object) -> list[Atoms]:
    """Three labelled frames whose method nobody wrote down."""
    found = []
    for shift in range(3):
        atoms = Atoms("OH2", WATER + 0.01 * shift * WATER[::-1], **settings)
        atoms.calc = SinglePointCalculator(atoms, energy=-2026.0, forces=0.1 * WATER)
        found.append(atoms)
    return found


def test_the_method_is_that_of_the_test_frames(folder: RunFolder, tmp_path: Path) -> None:
    found = evaluate_run(folder, exported(tmp_path / "dft.xyz", OTHER, OTHER, OTHER))
    assert (found.method, found.imitates) == (OTHER, OWN)
    same = evaluate_run(folder, exported(tmp_path / "ccsd.xyz", OWN, OWN))
    assert (same.method, same.imitates) == (OWN, "")
    assert (same.frames, same.test_set) == (2, "ccsd.xyz")


def test_frames_that_name_no_method_are_of_an_unknown_one(
    folder: RunFolder, tmp_path: Path
) -> None:
    ase.io.write(tmp_path / "some.xyz", images())
    found = evaluate_run(folder, tmp_path / "some.xyz")
    assert (found.method, found.imitates) == ("unknown", OWN)


def test_mixed_methods_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    path = exported(tmp_path / "mixed.xyz", OTHER, OWN, OTHER)
    with pytest.raises(InputError, match=r"mixed\.xyz frames mix labels of CCSD.*, PBE/def2-SVP"):
        evaluate_run(folder, path)


def test_periodic_frames_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    frames = images()
    frames[1] = images(cell=[9.0, 9.0, 9.0], pbc=[False, False, True])[1]
    ase.io.write(tmp_path / "cell.xyz", frames)
    with pytest.raises(InputError, match=r"Frame 2 of .*cell\.xyz is periodic"):
        evaluate_run(folder, tmp_path / "cell.xyz")


def test_frames_without_labels_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    bare = images()
    bare[2].calc = None
    ase.io.write(tmp_path / "bare.xyz", bare)
    with pytest.raises(InputError, match=r"Can't test on .*bare\.xyz"):
        evaluate_run(folder, tmp_path / "bare.xyz")
    ase.io.write(tmp_path / "none.xyz", [])
    with pytest.raises(InputError, match=r"none\.xyz"):
        evaluate_run(folder, tmp_path / "none.xyz")


def test_one_frame_is_written_and_read_again(folder: RunFolder, tmp_path: Path) -> None:
    found = evaluate_run(folder, exported(tmp_path / "one.xyz", OWN))
    assert (found.force_field.high, found.gain_low) == (np.inf, -np.inf)
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
    assert "−∞ to +∞" in verdict(found)


def judged(gain: float, low: float, high: float, frames: int = 40) -> str:
    """The verdict where the standard training errs by 2 kcal/mol/Å."""
    errors = {"low": 0.0, "high": 9.0, "force_rmse": 1.0, "energy_mae": 1.0}
    old, new = (
        Errors(name=name, force_mae=mae, force_mae_by_element={}, **errors)
        for name, mae in (("old", 2.0), ("new", 2.0 - gain))
    )
    found = Evaluation(
        method=OWN, test_set="hold-out", frames=frames, force_field=new, baseline=old, gain=gain,
        gain_low=low, gain_high=high,
    )  # fmt: skip
    return verdict(found)


def test_the_verdict_follows_the_interval() -> None:
    won, lost = judged(0.5, 0.2, 0.8), judged(-0.5, -0.8, -0.2)
    assert "beat" in won
    assert "25 % smaller, 1.5 instead of 2 kcal" in won
    assert "gain +0.5, 95 % interval +0.2 to +0.8 kcal/mol/Å" in won
    assert "did not pay" in lost
    assert "2 instead of 2.5" in lost
    assert judged(0.5, -0.1, 1.1).startswith("Undecided")
    assert judged(-0.5, -1.1, 0.1).startswith("Undecided")


@pytest.mark.parametrize(("gain", "low", "high"), [(0.5, 0.2, 0.8), (-0.5, -0.8, -0.2), (0, -1, 1)])
def test_every_verdict_on_few_frames_is_called_rough(gain: float, low: float, high: float) -> None:
    assert judged(gain, low, high, frames=9).endswith("only 9 test frames the interval is rough.")
    assert judged(gain, low, high, frames=1).endswith("only 1 test frame the interval is rough.")
    assert "rough" not in judged(gain, low, high, frames=10)


def test_frames_that_training_saw_are_no_test(folder: RunFolder, tmp_path: Path) -> None:
    """The run's own training frames, exported and handed back, also turned, moved and rounded."""
    random = np.random.default_rng(1)
    origin = Provenance("test", "1", "here", 1, 1.0, 1.0)
    method = Method(Tier.CCSD, OWN)
    stored = []
    for seq, purpose in enumerate([Purpose.TRAIN] * 3 + [Purpose.HOLDOUT] * 2):
        shape = Configuration("water", (8, 1, 1), WATER + random.normal(0, 0.03, (3, 3)))
        label = Label(-2026.0, random.normal(size=WATER.shape), origin)
        stored.append(StoredFrame(seq, Job(shape, method, purpose), label, 1))
    with FrameStore.open_for_writing(folder.frames) as store:
        store.append(stored)
    write_extended_xyz(from_stored(stored), tmp_path / "all.xyz")
    write_extended_xyz(from_stored(stored[3:]), tmp_path / "holdout.xyz")
    images = ase.io.read(tmp_path / "all.xyz", ":")
    for atoms in images:
        positions, label = np.round(atoms.positions[:, [1, 2, 0]] + 5.0, 4), atoms.calc
        atoms.positions, atoms.calc = positions, label
        label.atoms = atoms.copy()
    ase.io.write(tmp_path / "moved.xyz", images)
    seen = evaluate_run(folder, tmp_path / "all.xyz")
    assert seen.trained_on == 3
    assert verdict(seen).startswith("No test: training or the choice of models saw 3 of these 5")
    assert evaluate_run(folder, tmp_path / "holdout.xyz").trained_on == 0
    assert evaluate_run(folder, tmp_path / "moved.xyz").trained_on == 3


def with_hold_out(folder: RunFolder, trained: int, held: int) -> None:
    """Accurate frames of water: `held` of them held out, the more distorted the later."""
    random = np.random.default_rng(2)
    origin = Provenance("test", "1", "here", 1, 1.0, 1.0)
    stored = []
    for seq, purpose in enumerate([Purpose.TRAIN] * trained + [Purpose.HOLDOUT] * held):
        size = 0.02 if purpose is Purpose.TRAIN else 0.01 * (1 + seq - trained)
        shape = Configuration("water", (8, 1, 1), WATER + random.normal(0, size, (3, 3)))
        label = Label(-2026.0 + 0.1 * seq, random.normal(size=WATER.shape), origin)
        stored.append(StoredFrame(seq, Job(shape, Method(Tier.CCSD, OWN), purpose), label, 1))
    with FrameStore.open_for_writing(folder.frames) as store:
        store.append(stored)


def test_errors_are_told_by_distance_from_the_training_frames(folder: RunFolder) -> None:
    with_hold_out(folder, trained=6, held=12)
    found = evaluate_run(folder)
    bins = found.force_field.by_distance
    assert [each.frames for each in bins] == [6, 6]
    assert bins[0].farthest <= bins[1].nearest
    mean = sum(each.force_mae * each.frames for each in bins) / 12
    assert mean == pytest.approx(found.force_field.force_mae)
    assert [each.nearest for each in found.baseline.by_distance] == [each.nearest for each in bins]
    assert found.force_field.force_cosine is not None
    assert -1 <= found.force_field.force_cosine <= 1
    console = Console(width=120, record=True, file=io.StringIO())
    show_evaluation(console, found)
    assert "from the nearest training frame" in console.export_text()
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_older_evaluations_are_still_read(folder: RunFolder, tmp_path: Path) -> None:
    found = evaluate_run(folder, exported(tmp_path / "some.xyz", OWN, OWN))
    assert found.force_field.by_distance == ()
    document = json.loads(found.model_dump_json())
    for name in ("force_field", "baseline"):
        for new in ("force_cosine", "by_distance"):
            del document[name][new]
    older = Evaluation.model_validate(document)
    assert older.force_field.force_mae == found.force_field.force_mae


def test_a_plot_of_predictions(folder: RunFolder, tmp_path: Path) -> None:
    file = exported(tmp_path / "some.xyz", OWN, OWN, OWN)
    evaluate_run(folder, file, plot=tmp_path / "parity.png")
    assert (tmp_path / "parity.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(InputError, match=r"call it parity\.png"):
        evaluate_run(folder, file, plot=tmp_path / "parity.pdf")
    with pytest.raises(InputError, match="Name another place"):
        evaluate_run(folder, file, plot=tmp_path / "nowhere" / "parity.png")


def test_a_data_set_is_no_run(folder: RunFolder, tmp_path: Path) -> None:
    with Ledger(folder.ledger_url):
        pass
    assert RunFolder.existing(folder.root) == folder
    with pytest.raises(InputError, match="data set, not a run"):
        RunFolder.campaign(folder.root)
    with pytest.raises(InputError, match="platform import"):
        RunFolder.campaign(tmp_path)
