"""What a fit follows from, kept with its checkpoint, so that no other fit goes on from that.

Settings, the model's shape and geometries must be the same to the bit. Labels, weights and frozen
parameters may come of predictions or of least squares, which round differently with other threads
or on another machine: of these a few projections are kept, and must agree to `TOLERANCE`. So a
few labels among many that changed by little aren't noticed.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import torch
from pydantic import ValidationError
from torch import Tensor

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.trainers.fitting.judging import cuts
from forgefield.trainers.fitting.objectives import Objective
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.settings import FitSettings

AT_ONCE = 32  # frames; neighbour tables of boxes are large
WAVES = 8
TOLERANCE = 1e-3
"""Of the length of the vector; a label is about 1."""
NO_MATTER = {"save_every", "compiled"}
"""Settings that change nothing but rounding."""


class DataPrint(Document):
    """Hash of geometries and heads; projections of energies, forces and weights."""

    geometries: str
    labels: tuple[float, ...]

    @classmethod
    def of(cls, data: GraphSet) -> Self:
        """That of these frames in their order."""
        digest, labels = hashlib.blake2b(digest_size=16), list[Tensor]()
        for cut in cuts(data, AT_ONCE):
            graph = cut.graph
            for column in (graph.numbers, graph.positions_A3, graph.frame_A, graph.head_F):
                digest.update(column.cpu().numpy().tobytes())
            labels += (cut.energy_F, cut.forces_A3, cut.weight_F)
        return cls(geometries=digest.hexdigest(), labels=_projections(labels))

    def same(self, other: Self) -> bool:
        """To rounding, as the module says."""
        return self.geometries == other.geometries and _near(self.labels, other.labels)


class Fingerprint(Document):
    """All that the result of a fit depends on but its first weights, which a checkpoint has."""

    settings: FitSettings
    objective: str
    model: str
    frozen: tuple[float, ...]
    train: DataPrint
    validation: DataPrint | None

    def changes(self, now: Self) -> list[str]:
        """What is another one `now`, for people; none for the same fit."""
        before, after = (one.settings.model_dump(exclude=NO_MATTER) for one in (self, now))
        other = [name for name in before if before[name] != after[name]]
        changed = [f"{name} was {before[name]}, now {after[name]}" for name in other]
        same = {
            "the objective": self.objective == now.objective,
            "the model": self.model == now.model and _near(self.frozen, now.frozen),
            "the training set": self.train.same(now.train),
            "the validation set": self._judged_alike(now),
        }
        return changed + [f"{name} is another" for name, alike in same.items() if not alike]

    def _judged_alike(self, now: Self) -> bool:
        if self.validation is None or now.validation is None:
            return self.validation is now.validation
        return self.validation.same(now.validation)


def fingerprint(
    model: Potential,
    train: GraphSet,
    validation: GraphSet | None,
    settings: FitSettings,
    objective: Objective,
) -> Fingerprint:
    """That of a fit, whatever its trained weights are by now."""
    parameters = dict(model.named_parameters())
    trained = [(n, tuple(p.shape), p.dtype) for n, p in parameters.items() if p.requires_grad]
    shape = repr((model.settings, trained))
    return Fingerprint(
        settings=settings,
        objective=_in_words(objective),
        model=hashlib.blake2b(shape.encode(), digest_size=16).hexdigest(),
        frozen=_projections(p.detach() for p in parameters.values() if not p.requires_grad),
        train=DataPrint.of(train),
        validation=None if validation is None else DataPrint.of(validation),
    )


def refuse_another(path: Path, known: str, now: Fingerprint) -> None:
    """Raise `InputError` where the checkpoint at `path`, with the fingerprint `known`, isn't ours.

    `known` is JSON.
    """
    try:
        changes = Fingerprint.model_validate_json(known).changes(now)
    except ValidationError:
        changes = ["it was written by another version"]
    if changes:
        raise InputError(
            f"{path} is the checkpoint of another fit: {'; '.join(changes)}. Go on with what it "
            "was begun with, or delete it or name another file to begin anew."
        )


def _in_words(objective: Objective) -> str:
    """Its class and fields; numbers made of a force scale may differ in their last digits."""
    names = getattr(objective, "__dataclass_fields__", ())
    values = [getattr(objective, name) for name in names]
    said = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
    return " ".join([type(objective).__name__, *said])


def _projections(parts: Iterable[Tensor]) -> tuple[float, ...]:
    """Length of all parts as one vector, and its products with waves; unknown values are zeros."""
    flat = [part.cpu().double().reshape(-1) for part in parts]
    values = torch.nan_to_num(torch.cat([torch.zeros(0, dtype=torch.float64), *flat]))
    place = torch.arange(len(values), dtype=torch.float64)
    waves = [values @ torch.cos(wave * place) for wave in range(1, WAVES + 1)]
    return (float(values.norm()), *map(float, waves))


def _near(ours: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
    most = TOLERANCE * (1 + ours[0])
    return all(abs(one - other) <= most for one, other in zip(ours, theirs, strict=True))
