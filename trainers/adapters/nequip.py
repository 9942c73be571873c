"""The `nequip` package's own NequIP (arXiv 2101.03164), trained and asked through its program.

Ours (`trainers.models.nequip`) has the same equations; this is for comparison, and for those who
want that package's files. The environment is of its own:

    python -m venv other && other/bin/pip install nequip==0.19.1 torch==2.13.0

Its checkpoints are pickles: loading one runs what is in it, so take them only from whom you trust.

Legend: `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.formats.safe_files import read_archive, reading
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.adapters import nequip_child
from forgefield.trainers.adapters.environments import Environment, Program, Watch
from forgefield.trainers.adapters.exchange import (
    FILES,
    checked,
    existing,
    own_folder,
    symbols,
    write_shapes,
)
from forgefield.trainers.adapters.settings import Precision, ProgramSettings
from forgefield.trainers.graphs.boxes import pairs_of_frames
from forgefield.trainers.references import force_scale, reference_energies

PROGRAM = Program("nequip", "nequip", ("nequip==0.19.1", "torch==2.13.0"))
LOG = "nequip.log"
CHECKPOINTS = "checkpoints"


class NequIPPackageSettings(ProgramSettings):
    """The network and how it is trained; `channels[l]` features of order l."""

    channels: tuple[int, ...] = Field(default=(64, 32, 16), min_length=1)
    layers: int = Field(default=4, ge=1)
    radial: int = Field(default=8, ge=1)
    radial_width: int = Field(default=64, ge=1)
    species: int = Field(default=16, ge=1)
    forces_weight: float = Field(default=1.0, ge=0)
    dtype: Precision = "float32"


@dataclass(frozen=True, slots=True)
class NequIPPackage:
    """A trained model: the checkpoint `model`, and the environment that understands it."""

    environment: Environment
    model: Path
    device: str = "cpu"

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å; labels aren't read."""
        if not len(frames):
            return np.empty(0), np.empty((0, 3))
        model = existing(self.model, "nequip checkpoint")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_shapes(frames, folder / "in.xyz")
            child = Path(nequip_child.__file__)
            command: list[str | Path] = [child, model, "in.xyz", "out.npz", self.device]
            self.environment.run(command, folder, LOG)
            with reading(folder / "out.npz", "predictions of nequip"):
                found = read_archive(folder / "out.npz")
        return checked(found["energy_F"], found["forces_A3"], frames, PROGRAM.name)


def train(
    python: Path,
    train_frames: Frames,
    validation: Frames,
    folder: Path,
    settings: NequIPPackageSettings | None = None,
    *,
    watch: Watch | None = None,
) -> NequIPPackage:
    """Train below `folder`; `python` is the interpreter of nequip's environment.

    A training that was interrupted goes on from its last epoch. Raises `MissingProgram` where
    that isn't one, and `InputError` where nequip fails.
    """
    settings = settings or NequIPPackageSettings()
    folder = own_folder(folder, train_frames, validation, settings.model_dump_json().encode())
    config = configuration(settings, train_frames, folder.resolve())
    last = folder.resolve() / CHECKPOINTS / "last.ckpt"
    if last.exists():
        config["ckpt_path"] = str(last)
    (folder / "config.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")
    environment = Environment(python, PROGRAM)
    where = ["-cp", str(folder.resolve()), "-cn", "config", "hydra.run.dir=hydra"]
    environment.run(["-m", "nequip.scripts.train", *where], folder, LOG, watch)
    best = existing(folder / CHECKPOINTS / "best.ckpt", "trained checkpoint")
    return NequIPPackage(environment, best, settings.device)


def configuration(settings: NequIPPackageSettings, frames: Frames, folder: Path) -> dict[str, Any]:
    """What `nequip-train` reads; JSON is YAML too."""
    return {
        "run": ["train"],
        "data": _data(settings, symbols(frames)),
        "trainer": _trainer(settings, folder),
        "training_module": _training(settings, frames),
    }


def _data(settings: NequIPPackageSettings, elements: list[str]) -> dict[str, Any]:
    loader = {"_target_": "torch.utils.data.DataLoader", "batch_size": settings.batch}
    transforms = "nequip.data.transforms"
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": settings.seed,
        "train_file_path": FILES["training"],
        "val_file_path": FILES["validation"],
        "transforms": [
            {
                "_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper",
                "model_type_names": elements,
            },
            {"_target_": f"{transforms}.NeighborListTransform", "r_max": settings.cutoff},
        ],
        "train_dataloader": {**loader, "shuffle": True},
        "val_dataloader": loader,
    }


def _trainer(settings: NequIPPackageSettings, folder: Path) -> dict[str, Any]:
    keep = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        "dirpath": str(folder / CHECKPOINTS),
        "filename": "best",
        "save_last": True,
        "monitor": "val0_epoch/weighted_sum",
        "enable_version_counter": False,
    }
    return {
        "_target_": "lightning.Trainer",
        "accelerator": "gpu" if settings.device == "cuda" else "cpu",
        "devices": 1,
        "max_epochs": settings.epochs,
        "logger": False,
        "enable_progress_bar": False,
        "callbacks": [keep],
    }


def _training(settings: NequIPPackageSettings, frames: Frames) -> dict[str, Any]:
    share = {"total_energy": settings.energy_weight, "forces": settings.forces_weight}
    errors = {f"{name}_mae": weight for name, weight in share.items()}
    return {
        "_target_": "nequip.train.EMALightningModule",
        "ema_decay": settings.ema,
        "loss": {
            "_target_": "nequip.train.EnergyForceLoss",
            "per_atom_energy": True,
            "coeffs": share,
        },
        "val_metrics": {"_target_": "nequip.train.EnergyForceMetrics", "coeffs": errors},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": settings.rate},
        "model": _network(settings, frames),
    }


def _network(settings: NequIPPackageSettings, frames: Frames) -> dict[str, Any]:
    pairs = pairs_of_frames(frames.ptr, frames.positions_A3, frames.cell_F33, settings.cutoff)
    shifts = reference_energies(frames)
    return {
        "_target_": "nequip.model.NequIPGNNModel",
        "seed": settings.seed,
        "model_dtype": settings.dtype,
        "type_names": symbols(frames),
        "r_max": settings.cutoff,
        "num_layers": settings.layers,
        "l_max": len(settings.channels) - 1,
        "parity": False,
        "num_features": list(settings.channels),
        "type_embed_num_features": settings.species,
        "radial_mlp_depth": 1,
        "radial_mlp_width": settings.radial_width,
        "num_bessels": settings.radial,
        "avg_num_neighbors": max(1.0, len(pairs.atom) / len(frames.numbers)),
        "per_type_energy_scales": force_scale(frames),
        "per_type_energy_shifts": {SYMBOLS[z]: e for z, e in sorted(shifts.items())},
    }
