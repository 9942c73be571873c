"""MACE (Batatia et al., NeurIPS 2022): trained and asked through its own program, mace-torch.

The environment is of its own, because mace-torch pins e3nn 0.4.4:

    python -m venv other && other/bin/pip install mace-torch==0.3.16 torch==2.13.0

A training that was killed goes on from MACE's last checkpoint. That lies in a folder named by all
that the result depends on, so that it is never the one of another training. MACE's files are
pickles: loading one runs what is in it, so take foundation models only from whom you trust.

Legend: `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from forgefield.storage.formats.safe_files import reading
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.adapters.environments import Environment, Program, Watch
from forgefield.trainers.adapters.exchange import checked, existing, own_folder, write_shapes
from forgefield.trainers.adapters.settings import Precision, ProgramSettings
from forgefield.trainers.references import reference_energies

PROGRAM = Program("MACE", "mace", ("mace-torch==0.3.16", "torch==2.13.0"))
NAME = "mace"
LOG = "mace.log"


class MACESettings(ProgramSettings):
    """The network and how it is trained; `more` are further arguments as they are.

    With a foundation model the network is that one's, and only the training counts.
    """

    channels: int = Field(default=128, ge=1)
    largest_l: int = Field(default=1, ge=0, le=3)
    layers: int = Field(default=2, ge=1)
    correlation: int = Field(default=3, ge=1)
    forces_weight: float = Field(default=100.0, ge=0)
    patience: int = Field(default=2048, ge=1)
    dtype: Precision = "float64"
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MACE:
    """A trained model: the file `model` of weights in `dtype`, and the environment it is for."""

    environment: Environment
    model: Path
    device: str = "cpu"
    dtype: Precision = "float64"

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å; labels aren't read."""
        if not len(frames):
            return np.empty(0), np.empty((0, 3))
        model = existing(self.model, "MACE model")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_shapes(frames, folder / "in.xyz")
            command = ["-m", "mace.cli.eval_configs", "--configs=in.xyz", "--output=out.xyz"]
            where = [f"--model={model}", f"--device={self.device}", f"--default_dtype={self.dtype}"]
            self.environment.run([*command, *where], folder, LOG)
            energy_F, forces_A3 = _read(folder / "out.xyz")
        return checked(energy_F, forces_A3, frames, PROGRAM.name)


def train(
    python: Path,
    train_frames: Frames,
    validation: Frames,
    folder: Path,
    settings: MACESettings | None = None,
    *,
    foundation: Path | None = None,
    watch: Watch | None = None,
) -> MACE:
    """Train below `folder`, from a `foundation` model's file where one is given.

    `python` is the interpreter of MACE's environment. Raises `MissingProgram` where that isn't one,
    and `InputError` where MACE fails.
    """
    settings = settings or MACESettings()
    start = None if foundation is None else existing(foundation, "foundation model")
    rest = [settings.model_dump_json().encode(), *([start.read_bytes()] if start else [])]
    folder = own_folder(folder, train_frames, validation, *rest)
    environment = Environment(python, PROGRAM)
    network = _network(settings, train_frames) if start is None else _foundation(start)
    command = ["-m", "mace.cli.run_train", *network, *_training(settings), *settings.more]
    environment.run(command, folder, LOG, watch)
    model = existing(folder / f"{NAME}.model", "trained model")
    return MACE(environment, model, settings.device, settings.dtype)


def _network(settings: MACESettings, frames: Frames) -> list[str]:
    return [
        "--model=MACE",
        f"--num_channels={settings.channels}",
        f"--max_L={settings.largest_l}",
        f"--num_interactions={settings.layers}",
        f"--correlation={settings.correlation}",
        f"--r_max={settings.cutoff}",
        f"--E0s={reference_energies(frames)}",
    ]


def _foundation(model: Path) -> list[str]:
    """Energies of single atoms are estimated anew: the methods' zeros differ."""
    return [f"--foundation_model={model}", "--multiheads_finetuning=False", "--E0s=estimated"]


def _training(settings: MACESettings) -> list[str]:
    return [
        f"--name={NAME}",
        "--train_file=train.xyz",
        "--valid_file=validation.xyz",
        "--energy_key=energy",
        "--forces_key=forces",
        f"--batch_size={settings.batch}",
        f"--valid_batch_size={settings.batch}",
        f"--max_num_epochs={settings.epochs}",
        f"--lr={settings.rate}",
        "--ema",
        f"--ema_decay={settings.ema}",
        f"--energy_weight={settings.energy_weight}",
        f"--forces_weight={settings.forces_weight}",
        f"--patience={settings.patience}",
        f"--default_dtype={settings.dtype}",
        f"--device={settings.device}",
        f"--seed={settings.seed}",
        "--plot=False",
        "--restart_latest",
    ]


def _read(path: Path) -> tuple[Array, Array]:
    """Energies and forces that `eval_configs` wrote."""
    from ase.io import read

    with reading(path, "predictions of MACE"):
        images = read(path, index=":")
        energies = [float(image.info["MACE_energy"]) for image in images]
        return np.array(energies), np.concatenate([i.arrays["MACE_forces"] for i in images])
