"""The models by the class of their settings: one dict, one builder."""

from collections.abc import Callable
from typing import Any

from forgefield.trainers.model_settings import EGNNSettings, ModelSettings, NequIPSettings
from forgefield.trainers.models.egnn import EGNN
from forgefield.trainers.models.nequip import NequIP
from forgefield.trainers.models.potential import Potential, energy_and_forces

__all__ = ["MODELS", "Potential", "build", "energy_and_forces"]

MODELS: dict[type[Any], Callable[[Any], Potential]] = {EGNNSettings: EGNN, NequIPSettings: NequIP}


def build(settings: ModelSettings) -> Potential:
    """A network with fresh weights from torch's current random state."""
    return MODELS[type(settings)](settings)
