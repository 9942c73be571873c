"""ANI-1ccx (Smith et al., Nat. Commun. 10, 2903 (2019)): coupled-cluster accuracy, ready trained.

It was transfer-learned from DFT to 500,000 molecules at CCSD(T)*/CBS: H, C, N and O, neutral, in
free space. It predicts at no cost of labels, and can be tuned on frames of our own.

The weights are a download of the `torchani` package. On a machine that reaches the internet

    python -m venv other && other/bin/pip install torchani==2.9.0 torch==2.13.0
    other/bin/python -c "import torchani; torchani.models.ANI1ccx()"

leaves `ani1ccx_state_dict.pt` in `~/.local/share/Torchani/StateDicts`: copy that file.

Legend: `F` frames, `A` atoms, padded to the largest frame where arrays are (F, A). Units: Å, eV,
eV/Å; the package's hartree stay at this edge.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from forgefield.storage.documents import Document
from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.safe_files import read_archive, reading
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_HARTREE
from forgefield.trainers.adapters import ani1ccx_child
from forgefield.trainers.adapters.environments import Environment, Program, Watch
from forgefield.trainers.adapters.exchange import checked
from forgefield.trainers.references import reference_energies, reference_sums

PROGRAM = Program("ANI-1ccx", "torchani", ("torchani==2.9.0", "torch==2.13.0"))
ELEMENTS = (1, 6, 7, 8)
LOG = "ani1ccx.log"
HOW_TO_GET = (
    'where the internet is reached, `python -c "import torchani; torchani.models.ANI1ccx()"` '
    "leaves ani1ccx_state_dict.pt in ~/.local/share/Torchani/StateDicts; copy that file"
)


class TuningSettings(Document):
    """How the weights are tuned: AdamW on squared errors of forces and of energies per atom."""

    steps: int = Field(default=2000, ge=1)
    batch: int = Field(default=16, ge=1)
    rate: float = Field(default=1e-4, gt=0)
    energy_weight: float = Field(default=1.0, ge=0)
    evaluate_every: int = Field(default=50, ge=1)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ANI1ccx:
    """The model of a file of weights; `shifts` (eV per element) tune its zero of energy."""

    environment: Environment
    weights: Path
    device: str = "cpu"
    shifts: Mapping[int, float] = field(default_factory=lambda: dict.fromkeys(ELEMENTS, 0.0))

    @classmethod
    def of(cls, python: Path, weights: Path, *, device: str = "cpu") -> "ANI1ccx":
        """By the interpreter of an environment with torchani, and a file of weights."""
        return cls(Environment(python, PROGRAM), weights, device)

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å; labels aren't read."""
        _need_organic(frames)
        if not len(frames):
            return np.empty(0), np.empty((0, 3))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            np.savez(folder / "in.npz", **_padded(frames))
            self._run("predict", folder, "in.npz", "out.npz")
            with reading(folder / "out.npz", "predictions of ANI-1ccx"):
                found = read_archive(folder / "out.npz")
        energy_F = found["energy_F"] * EV_PER_HARTREE + reference_sums(frames, self.shifts)
        forces_A3 = found["forces_FA3"][_there(frames)] * EV_PER_HARTREE
        return checked(energy_F, forces_A3, frames, PROGRAM.name)

    def tuned(
        self,
        train: Frames,
        validation: Frames,
        folder: Path,
        settings: TuningSettings | None = None,
        *,
        watch: Watch | None = None,
    ) -> "ANI1ccx":
        """Tune on frames; the new weights lie in `folder`. The zero of energy is fitted first.

        Raises `InputError` for frames without forces, or with other elements.
        """
        settings = settings or TuningSettings()
        both = Frames.concatenate([train, validation])
        _need_organic(both)
        if not len(train) or not len(validation) or not np.isfinite(both.forces_A3).all():
            raise InputError("tuning needs training and validation frames, all with forces")
        shifts = self._shifts(train)
        relative = replace(both, energy_F=both.energy_F - reference_sums(both, shifts))
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "in.npz",
            **_padded(relative, labelled=True),
            validation=np.array(len(validation)),
            settings=np.array(json.dumps(settings.model_dump())),
        )
        self._run("tune", folder, "in.npz", "weights.pt", watch)
        return replace(self, weights=folder / "weights.pt", shifts=shifts)

    def _shifts(self, train: Frames) -> dict[int, float]:
        """Energies per element that are between this model and the labels, eV."""
        off_F = train.energy_F - replace(self, shifts=_NOTHING).predict(train)[0]
        return _NOTHING | reference_energies(replace(train, energy_F=off_F))

    def _run(
        self, task: str, folder: Path, source: str, target: str, watch: Watch | None = None
    ) -> None:
        if not self.weights.is_file():
            raise InputError(f"There are no weights of ANI-1ccx at {self.weights}: {HOW_TO_GET}")
        child, weights = Path(ani1ccx_child.__file__), self.weights.resolve()
        command: list[str | Path] = [child, task, weights, source, target, self.device]
        self.environment.run(command, folder, LOG, watch)


_NOTHING = dict.fromkeys(ELEMENTS, 0.0)


def _need_organic(frames: Frames) -> None:
    strange = sorted(set(frames.numbers.tolist()) - set(ELEMENTS))
    if strange:
        names = ", ".join(SYMBOLS[number] for number in strange)
        raise InputError(
            f"ANI-1ccx knows H, C, N and O alone, and the frames hold {names}: "
            "leave them out, or train a model of ours"
        )
    if frames.charge_F.any() or (frames.multiplicity_F != 1).any():
        raise InputError("ANI-1ccx knows neutral closed shells alone; leave ions and radicals out")
    if not np.isnan(frames.cell_F33).all():
        raise InputError("ANI-1ccx is used here for molecules in free space; leave boxes out")


def _there(frames: Frames) -> NDArray[np.bool_]:
    """Which places of the padded arrays hold atoms, (F, A)."""
    sizes_F = np.diff(frames.ptr)
    return np.asarray(np.arange(sizes_F.max()) < sizes_F[:, None])


def _padded(frames: Frames, *, labelled: bool = False) -> dict[str, Any]:
    """What the child reads, in hartree."""
    there_FA = _there(frames)
    numbers_FA = np.full(there_FA.shape, -1, dtype=np.int64)
    positions_FA3, forces_FA3 = np.zeros((2, *there_FA.shape, 3))
    numbers_FA[there_FA], positions_FA3[there_FA] = frames.numbers, frames.positions_A3
    shapes = {"numbers_FA": numbers_FA, "positions_FA3": positions_FA3}
    if not labelled:
        return shapes
    forces_FA3[there_FA] = frames.forces_A3
    labels = {"energy_F": frames.energy_F, "forces_FA3": forces_FA3}
    return shapes | {name: values / EV_PER_HARTREE for name, values in labels.items()}
