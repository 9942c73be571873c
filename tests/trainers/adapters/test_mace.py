"""The MACE adapter: what it asks for, and the real program in an environment of its own."""

import sys
from pathlib import Path

import numpy as np
import pytest
from own_environment import python_with
from spring_frames import springs

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.storage.frames import Frames
from forgefield.trainers.adapters.environments import Environment
from forgefield.trainers.adapters.mace import LOG, MACE, PROGRAM, MACESettings, train

TINY = MACESettings(
    channels=8, largest_l=0, correlation=2, cutoff=3.0, batch=8, epochs=8, rate=0.02, ema=0.8
)


def error(model: MACE, frames: Frames) -> float:
    return float(np.abs(model.predict(frames)[1] - frames.forces_A3).mean())


def test_without_mace_the_remedy_is_named(tmp_path: Path) -> None:
    frames = springs(3, 1)
    with pytest.raises(MissingProgram, match=r"pip install mace-torch==0.3.16 torch==2.13.0"):
        train(Path(sys.executable), frames, frames, tmp_path / "work")
    missing = MACE(Environment(Path(sys.executable), PROGRAM), tmp_path / "none.model")
    with pytest.raises(InputError, match=r"no MACE model at .*none.model"):
        missing.predict(frames)
    with pytest.raises(InputError, match="no foundation model"):
        train(Path(sys.executable), frames, frames, tmp_path, foundation=tmp_path / "no.model")


IMPOSTOR = """#!/bin/sh
case "$*" in
*run_train*) cat train.xyz > mace.model; echo once more >> checkpoints ;;
esac
"""
"""Stands for an interpreter that has MACE: its model is what it was trained on."""


def test_another_training_in_the_same_folder_is_never_gone_on_from(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(IMPOSTOR)
    python.chmod(0o755)
    frames, validation, others = springs(4, 1), springs(2, 2), springs(4, 3)
    foundation = tmp_path / "large.model"
    foundation.write_bytes(b"weights")

    def model(train_on: Frames, settings: MACESettings = TINY, start: Path | None = None) -> Path:
        work = tmp_path / "work"
        return train(python, train_on, validation, work, settings, foundation=start).model

    first = model(frames)
    longer = model(frames, TINY.model_copy(update={"epochs": 9}))
    trained = [first, longer, model(others), model(frames, start=foundation)]
    foundation.write_bytes(b"other weights")
    trained.append(model(frames, start=foundation))
    assert len({path.parent for path in trained}) == 5
    assert all((path.parent / "checkpoints").read_text() == "once more\n" for path in trained)
    assert trained[2].read_text() != first.read_text()
    assert model(frames) == first
    assert len((first.parent / "checkpoints").read_text().splitlines()) == 2
    assert sorted(path.name for path in first.parent.parent.iterdir()) == sorted(
        path.parent.name for path in trained
    )


@pytest.mark.slow
def test_mace_trains_predicts_and_is_tuned(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(PROGRAM.packages, tmp_path_factory)
    first, validation, unseen = springs(64, 1), springs(8, 2), springs(10, 3)
    heard: list[str] = []
    model = train(python, first, validation, tmp_path / "first", TINY, watch=heard.append)
    said = (model.model.parent / LOG).read_text().splitlines()
    assert [line.rstrip() for line in said] == heard
    assert error(model, unseen) < 0.4 * np.abs(unseen.forces_A3).mean()
    check_slopes(model, unseen.select(np.array([0])))
    more = springs(16, 4)
    short = TINY.model_copy(update={"epochs": 2})
    tuned = train(python, more, validation, tmp_path / "tuned", short, foundation=model.model)
    fresh = train(python, more, validation, tmp_path / "fresh", short)
    assert error(tuned, unseen) < 0.7 * error(fresh, unseen)
    with pytest.raises(InputError, match="MACE stopped with exit code"):
        train(
            python,
            first,
            validation,
            tmp_path / "wrong",
            TINY.model_copy(update={"more": ("--no_such_option=1",)}),
        )


def check_slopes(model: MACE, frame: Frames) -> None:
    """Forces are minus the slopes of the energies."""
    ends = Frames.concatenate([frame, frame])
    ends.positions_A3[[2, 7], 0] += [1e-3, -1e-3]
    energies, _ = model.predict(ends)
    slope = (energies[0] - energies[1]) / 2e-3
    assert -slope == pytest.approx(model.predict(frame)[1][2, 0], abs=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_are_in_the_precision_of_the_training(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MACE's own program doesn't cast: other inputs than weights are an error there."""
    python = tmp_path / "python"
    python.write_text(IMPOSTOR)
    python.chmod(0o755)
    settings = TINY.model_copy(update={"dtype": dtype})
    model = train(python, springs(4, 1), springs(2, 2), tmp_path / "work", settings)
    heard: list[str] = []

    def run(_: Environment, words: list[str], *_rest: object) -> None:
        heard.extend(words)
        raise InputError("asked")

    monkeypatch.setattr(Environment, "run", run)
    with pytest.raises(InputError, match="asked"):
        model.predict(springs(2, 4))
    assert f"--default_dtype={dtype}" in heard
