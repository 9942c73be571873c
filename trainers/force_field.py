"""A trained force field: the network, what its numbers are relative to, and where it came from.

Saved as `weights.safetensors` and `force_field.json` (no pickle), both in a folder that is
either complete or absent. Where the network is a correction to another force field, that one lies
inside, in `base/`, so a folder is all there is to copy.

Legend: `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.fitting.checkpoints import write_tensors
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import ModelSettings, as_saved
from forgefield.trainers.models import build
from forgefield.trainers.models.potential import Potential, energy_and_forces
from forgefield.trainers.references import reference_sums

WEIGHTS = "weights.safetensors"
DESCRIPTION = "force_field.json"
BASE = "base"


class Metadata(Document):
    """What is saved beside the weights.

    `head` is the readout that predicts; `heads` name all of them by tier or method, where there
    are several. `base` is the method of the force field that this one corrects, "" where it
    stands alone. `compositions` are the sorted atomic numbers of the molecules trained on;
    `periodic` says whether frames had a cell, null where nobody knows. `notes` is free: settings,
    dataset version, errors.
    """

    format: int = 1
    method: str
    scale: float
    references: Mapping[int, float]
    model: ModelSettings
    dataset: str = ""
    compositions: tuple[tuple[int, ...], ...] = ()
    periodic: bool | None = None
    seed: int = 0
    head: int = 0
    heads: tuple[str, ...] = ()
    base: str = ""
    notes: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, eq=False)
class ForceField:
    """E(x) = Σ references + scale · 1 Å · network(x) [+ base(x)]: imitates `metadata.method`."""

    network: Potential
    metadata: Metadata = field(repr=False)
    base: Self | None = None

    @classmethod
    def fresh(
        cls, metadata: Metadata, *, dtype: torch.dtype = torch.float32, base: Self | None = None
    ) -> Self:
        """Random weights that follow from `metadata.seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(metadata.seed)
            return cls(build(metadata.model).to(dtype), metadata, base)

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """Read a saved folder; `InputError` when it holds none, or that of an older version."""
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"PyTorch finds no GPU here; load {folder} with device='cpu'.")
        try:
            text = (folder / DESCRIPTION).read_text(encoding="utf-8")
            weights = load_file(folder / WEIGHTS, device=device)
        except (FileNotFoundError, NotADirectoryError) as missing:
            raise InputError(_nothing_at(folder)) from missing
        except SafetensorError as damaged:
            raise InputError(
                f"{folder / WEIGHTS} is damaged: {damaged}. Restore it from a copy, or delete "
                f"{folder}, and the command that made it trains it again."
            ) from damaged
        metadata = _metadata(text, folder)
        network = build(metadata.model).to(device)
        network.to(next(iter(weights.values())).dtype)
        try:
            network.load_state_dict(weights)
        except RuntimeError as mismatch:
            raise _of_another_version(folder) from mismatch
        base = cls.load(folder / BASE, device=device) if metadata.base else None
        return cls(network, metadata, base)

    @property
    def members(self) -> tuple[Self]:
        """Itself: a committee of one."""
        return (self,)

    def to(self, device: str) -> Self:
        """The same force field, moved with its base to a device."""
        self.network.to(device)
        if self.base is not None:
            self.base.to(device)
        return self

    def save(self, folder: Path) -> None:
        """Write the folder as a whole; an older one of that name is replaced."""
        partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.write_into(partial)
        publish(partial, folder)

    def write_into(self, folder: Path) -> None:
        """Write all files into a folder that exists, with fsync."""
        if self.base is not None:
            (folder / BASE).mkdir()
            self.base.write_into(folder / BASE)
            sync(folder / BASE)
        weights = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        write_tensors(weights, folder / WEIGHTS)
        text = self.metadata.model_dump_json(indent=1)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        for name in (WEIGHTS, DESCRIPTION):
            sync(folder / name)

    def predict(self, frames: Frames, *, batch: int = 128) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å, float64; labels aren't read.

        Raises `InputError` for an element that the network has no weights for.
        """
        known = self.network.elements
        if strange := sorted(set(np.unique(frames.numbers).tolist()) - set(known)):
            raise InputError(f"it has weights for elements {known}; train one for {strange} too")
        some = next(self.network.parameters())
        graphs = GraphSet(
            frames,
            self.network.cutoff,
            head_F=np.full(len(frames), self.metadata.head),
            dtype=some.dtype,
            device=some.device,
        )
        energies, forces = [np.empty(0)], [np.empty((0, 3))]
        for start in range(0, len(frames), batch):
            index = np.arange(start, min(start + batch, len(frames)))
            graph = graphs.batch(index).graph
            energy, force = energy_and_forces(self.network, graph)
            energies.append(energy.double().cpu().numpy())
            forces.append(force.double().cpu().numpy())
        sums_F = reference_sums(frames, self.metadata.references)
        energy_F = np.concatenate(energies) * self.metadata.scale + sums_F
        forces_A3 = np.concatenate(forces) * self.metadata.scale
        if self.base is None:
            return energy_F, forces_A3
        under_F, under_A3 = self.base.predict(frames, batch=batch)
        return energy_F + under_F, forces_A3 + under_A3


def _nothing_at(folder: Path) -> str:
    """Where to look instead."""
    if folder.is_file():
        return f"{folder} is a file; a force field is the folder that it lies in."
    if not folder.exists():
        return f"There is no folder {folder}. Check the path."
    for name, whose in (("force_field", "run"), ("stages", "benchmark")):
        if (folder / name).is_dir():
            return f"{folder} is a {whose}'s folder; its force fields are in {folder / name}."
    return f"{folder} holds no force field: it has no {DESCRIPTION} with {WEIGHTS} beside it."


def _metadata(text: str, folder: Path) -> Metadata:
    try:
        metadata = Metadata.model_validate_json(_as_now(text))
    except ValueError as unknown:
        raise _of_another_version(folder) from unknown
    if not metadata.model.elements:
        raise _of_another_version(folder)
    return metadata


def _as_now(text: str) -> str:
    """The document with the settings of its model as they were meant."""
    document = json.loads(text)
    if isinstance(document, dict) and "model" in document:
        document["model"] = as_saved(document["model"])
    return json.dumps(document)


def _of_another_version(folder: Path) -> InputError:
    return InputError(
        f"The force field in {folder} was made by another version of forgefield, most likely an "
        "older one. Train again with this one (labels are kept), or use that version."
    )


def publish(partial: Path, folder: Path) -> None:
    """Move a finished folder to its name, so that it is seen complete or not at all."""
    sync(partial)
    if folder.exists():
        old = folder.with_name(f"{folder.name}.old-{os.getpid()}")
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old)
    else:
        partial.rename(folder)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk; `StorageError` where that fails."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(f"can't flush {path} to the disk: {error}") from error
