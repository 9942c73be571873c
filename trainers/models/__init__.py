"""The models by the class of their settings: one dict, one builder."""

from collections.abc import Callable
from typing import Any

from forgefield.trainers.model_settings import (
    EGNNSettings,
    GemNetSettings,
    ModelSettings,
    NequIPSettings,
    PaiNNSettings,
    SchNetSettings,
)
from forgefield.trainers.models.egnn import EGNN
from forgefield.trainers.models.gemnet import GemNet
from forgefield.trainers.models.nequip import NequIP
from forgefield.trainers.models.painn import PaiNN
from forgefield.trainers.models.potential import Potential, energy_and_forces
from forgefield.trainers.models.schnet import SchNet

__all__ = ["MODELS", "Potential", "build", "energy_and_forces"]

MODELS: dict[type[Any], Callable[[Any], Potential]] = {
    EGNNSettings: EGNN,
    SchNetSettings: SchNet,
    PaiNNSettings: PaiNN,
    NequIPSettings: NequIP,
    GemNetSettings: GemNet,
}


def build(settings: ModelSettings) -> Potential:
    """A network with fresh weights from torch's current random state."""
    return MODELS[type(settings)](settings)
