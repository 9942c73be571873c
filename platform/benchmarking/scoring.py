"""Errors of a trained model on the test frames, measured once and kept.

A score is found again where the model (by its key), the test frames and those that distances are
counted from are the same, and the predictions are there. A note that can't be read isn't there.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from forgefield.platform.benchmarking.results import Score, write
from forgefield.platform.distance_errors import errors_by_distance
from forgefield.storage.documents import Document
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.evaluation import errors
from forgefield.trainers.stages.tasks import StageResult

LABELS = "labels"
"""Name of the file that holds what predictions are compared with."""
Predict = Callable[[], tuple[Array, Array]]
"""Energies (F,) eV and forces (A, 3) eV/Å of the test frames."""


def labels_name(draw: int) -> str:
    """Of the file of a draw's labels."""
    return LABELS if draw == 0 else f"{LABELS}-draw{draw}"


class _Kept(Document):
    key: str
    seconds: float
    score: Score


class Judge:
    """Measures on `test`; `name` tells these test frames and those of `near` from others.

    Errors are told by distance from the nearest of the accurate frames `near`, where there are any.
    """

    def __init__(
        self, folder: Path, test: Frames, name: str, device: str, near: Frames | None = None
    ) -> None:
        self.folder, self.test, self.name, self.device = folder, test, name, device
        self.near = near or Frames.empty()

    def stage(self, result: StageResult, *, add: tuple[Array, Array] | None = None) -> Score:
        """Score of the force field a stage left; `add` are labels to be added (Δ-learning)."""

        def predict() -> tuple[Array, Array]:
            from forgefield.trainers.force_field import ForceField

            energy_F, forces_A3 = ForceField.load(result.output, device=self.device).predict(
                self.test
            )
            return (energy_F, forces_A3) if add is None else (energy_F + add[0], forces_A3 + add[1])

        return self.score(result.name, f"{result.key}@{result.dataset}{_added(add)}", predict)

    def committee(self, results: Sequence[StageResult]) -> Score:
        """Score of the mean energies and forces of the force fields that stages left."""

        def predict() -> tuple[Array, Array]:
            from forgefield.trainers.uncertainty.committee import of_folders

            outputs = [result.output for result in results]
            return of_folders(outputs, device=self.device).predict(self.test)

        keys = " and ".join(f"{result.key}@{result.dataset}" for result in results)
        return self.score(f"{results[0].name}-committee{len(results)}", keys, predict)

    def score(self, name: str, key: str, predict: Predict) -> Score:
        """Score of whatever `predict` gives; asked only where it isn't kept already."""
        kept = self.kept(name, key)
        return kept[0] if kept else self.keep(name, key, predict(), 0.0)

    def kept(self, name: str, key: str) -> tuple[Score, float] | None:
        """A score of before with the seconds that were noted, or `None`."""
        try:
            text = (self.folder / f"{name}.json").read_text(encoding="utf-8")
            found = _Kept.model_validate_json(text)
        except (FileNotFoundError, UnicodeDecodeError, ValidationError):
            return None
        whole = found.key == self._key(key) and (self.folder / f"{name}.npz").is_file()
        return (found.score, found.seconds) if whole else None

    def keep(self, name: str, key: str, found: tuple[Array, Array], seconds: float) -> Score:
        """Measure predictions and write both down."""
        energy_F, forces_A3 = found
        measured = errors(energy_F, forces_A3, self.test)
        force = measured.force_mae_kcal
        score = Score(
            frames=measured.frames,
            force_mae=force.value,
            low=force.low,
            high=force.high,
            force_rmse=measured.force_rmse_kcal.value,
            energy_mae=measured.energy_centred_mae_kcal,
            force_mae_by_element=dict(measured.element_mae_kcal),
            by_distance=errors_by_distance(forces_A3, self.test, self.near),
            predictions=self._save(name, energy_F, forces_A3),
        )
        kept = _Kept(key=self._key(key), seconds=seconds, score=score)
        write(self.folder / f"{name}.json", kept.model_dump_json(indent=1) + "\n")
        return score

    def save_labels(self, draw: int) -> None:
        """The test labels of a draw in the form of predictions, for plots."""
        self._save(labels_name(draw), self.test.energy_F, self.test.forces_A3)

    def _key(self, key: str) -> str:
        return f"{key} on {self.name}"

    def _save(self, name: str, energy_F: Array, forces_A3: Array) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.npz"
        partial = path.with_name(f".{name}.{os.getpid()}.npz")
        np.savez_compressed(partial, energy=energy_F, forces=forces_A3.astype(np.float32))
        partial.replace(path)
        return Path(self.folder.name) / path.name


def _added(labels: tuple[Array, Array] | None) -> str:
    """Labels that were added are as much part of a prediction as the model."""
    if labels is None:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for array in labels:
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return f"+{digest.hexdigest()}"
