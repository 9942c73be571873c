"""A committee: force fields of one model whose disagreement says where not to trust them.

Its forces are the mean of the members' forces, which are the forces of the mean energy, so a
committee conserves energy too. Saved as a folder of members, `member-00`, `member-01`, …, beside
`committee.json`; the folder is complete or absent.

Legend: `M` members, `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import ConfigDict, ValidationError

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.force_field import ForceField, Metadata, publish, sync
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.references import reference_sums
from forgefield.trainers.uncertainty.calibration import Calibration, calibrate
from forgefield.trainers.uncertainty.stacked import energies_and_forces, stack

DESCRIPTION = "committee.json"


class _Description(Document):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    format: int = 1
    members: int
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What a committee says of frames.

    `energy_F` eV and `forces_A3` eV/Å are means over members. `spread_A` (A,) is the standard
    deviation of the force *vector*, √(Σ_xyz var), var over members with M − 1; it doesn't change
    by rotation. `spread_F` (F,) is its root mean square over the atoms of a frame, `worst_F` its
    largest, and `energy_spread_F` the standard deviation of the energy, eV.
    """

    energy_F: Array
    forces_A3: Array
    spread_A: Array
    spread_F: Array
    worst_F: Array
    energy_spread_F: Array


@dataclass(frozen=True, slots=True, eq=False)
class Committee:
    """Members of one model, each with its own weights, scale and reference energies.

    `calibration` turns disagreement into expected error where it is known.
    """

    members: tuple[ForceField, ...]
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise InputError(f"a committee needs 2 members or more, got {len(self.members)}")
        models = {each.metadata.model for each in self.members}
        methods = {each.metadata.method for each in self.members}
        heads = {each.metadata.head for each in self.members}
        if len(models) > 1 or len(methods) > 1 or len(heads) > 1:
            raise InputError(
                "a committee's members must be of one model and imitate one method; these are "
                f"{len(models)} models of {', '.join(sorted(methods))}. Train them alike."
            )

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """Read a saved folder; `InputError` where it holds no committee."""
        try:
            text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        except FileNotFoundError as missing:
            raise InputError(f"{folder} holds no committee: {missing}") from missing
        try:
            about = _Description.model_validate_json(text)
        except ValidationError as damaged:
            raise InputError(
                f"{folder / DESCRIPTION} is damaged or of another version. Its members are force "
                "fields of their own."
            ) from damaged
        places = [folder / _name(place) for place in range(about.members)]
        members = tuple(ForceField.load(place, device=device) for place in places)
        return cls(members, about.calibration)

    def save(self, folder: Path) -> None:
        """Write the folder as a whole; an older one of that name is replaced."""
        partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        for place, member in enumerate(self.members):
            inner = partial / _name(place)
            inner.mkdir(parents=True)
            member.write_into(inner)
            sync(inner)
        about = _Description(members=len(self.members), calibration=self.calibration)
        (partial / DESCRIPTION).write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")
        sync(partial / DESCRIPTION)
        publish(partial, folder)

    @property
    def metadata(self) -> Metadata:
        """That of the first member; seed and validation error are its own."""
        return self.members[0].metadata

    def predict(self, frames: Frames, *, batch: int = 128) -> tuple[Array, Array]:
        """Mean energies (F,) eV, absolute, and forces (A, 3) eV/Å, as of a single force field."""
        found = self.judge(frames, batch=batch)
        return found.energy_F, found.forces_A3

    def predict_each(
        self, frames: Frames, *, batch: int = 128, stacked: bool | None = None
    ) -> tuple[Array, Array]:
        """Energies (M, F) eV, absolute, and forces (M, A, 3) eV/Å of every member, float64.

        `stacked` evaluates all members as one network; by default where that pays, on a GPU.
        """
        if stacked is None:
            stacked = next(self.members[0].network.parameters()).device.type != "cpu"
        if stacked:
            return self._stacked(frames, batch)
        both = [member.predict(frames, batch=batch) for member in self.members]
        return np.stack([energy_F for energy_F, _ in both]), np.stack([f for _, f in both])

    def _stacked(self, frames: Frames, batch: int) -> tuple[Array, Array]:
        first = self.members[0]
        parameters = stack([member.network for member in self.members])
        some = next(iter(parameters.values()))
        graphs = GraphSet(
            frames,
            first.network.cutoff,
            head_F=np.full(len(frames), first.metadata.head),
            dtype=some.dtype,
            device=some.device,
        )
        energies = [np.empty((len(self.members), 0))]
        forces = [np.empty((len(self.members), 0, 3))]
        for start in range(0, len(frames), batch):
            graph = graphs.batch(np.arange(start, min(start + batch, len(frames)))).graph
            energy_MF, forces_MA3 = energies_and_forces(first.network, parameters, graph)
            energies.append(energy_MF.double().cpu().numpy())
            forces.append(forces_MA3.double().cpu().numpy())
        both = np.concatenate(energies, axis=1), np.concatenate(forces, axis=1)
        return self._in_units(*both, frames, batch)

    def _in_units(
        self, energy_MF: Array, forces_MA3: Array, frames: Frames, batch: int
    ) -> tuple[Array, Array]:
        """Each member's scale, reference energies and base put to what its network says."""
        for place, member in enumerate(self.members):
            about = member.metadata
            energy_MF[place] *= about.scale
            energy_MF[place] += reference_sums(frames, about.references)
            forces_MA3[place] *= about.scale
            if member.base is not None:
                under_F, under_A3 = member.base.predict(frames, batch=batch)
                energy_MF[place] += under_F
                forces_MA3[place] += under_A3
        return energy_MF, forces_MA3

    def judge(self, frames: Frames, *, batch: int = 128, stacked: bool | None = None) -> Opinion:
        """Mean energies and forces of all members, and how far they disagree."""
        return opinion(*self.predict_each(frames, batch=batch, stacked=stacked), frames)


def opinion(energy_MF: Array, forces_MA3: Array, frames: Frames) -> Opinion:
    """Means and spreads of predicted energies (M, F) and forces (M, A, 3)."""
    spread_A = force_spread(forces_MA3)
    square_A = spread_A**2
    starts, size_F = frames.ptr[:-1], np.diff(frames.ptr)
    none = np.empty(0)
    mean_F = np.add.reduceat(square_A, starts) / size_F if len(frames) else none
    worst_F = np.maximum.reduceat(square_A, starts) if len(frames) else none
    return Opinion(
        energy_F=energy_MF.mean(axis=0),
        forces_A3=forces_MA3.mean(axis=0),
        spread_A=spread_A,
        spread_F=np.sqrt(mean_F),
        worst_F=np.sqrt(worst_F),
        energy_spread_F=energy_MF.std(axis=0, ddof=1),
    )


def force_spread(forces_MA3: Array) -> Array:
    """Standard deviation of the force vector over members, (A,) eV/Å; see `Opinion`."""
    return np.asarray(np.sqrt(forces_MA3.var(axis=0, ddof=1).sum(axis=1)))


def _name(place: int) -> str:
    return f"member-{place:02d}"


def calibrated(committee: Committee, validation: Frames) -> Committee:
    """The same, knowing what error its disagreement means; frames as `calibrate` wants them."""
    found = committee.judge(validation)
    learnt = calibrate(found.forces_A3, found.spread_A, validation)
    return replace(committee, calibration=learnt)


def of_folders(folders: Sequence[Path], *, device: str = "cpu") -> Committee:
    """A committee of force fields that were trained and saved one by one."""
    return Committee(tuple(ForceField.load(folder, device=device) for folder in folders))
