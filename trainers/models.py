"""The models by kind: one dict, settings → class."""

from forgefield.trainers.egnn import EGNN
from forgefield.trainers.potential import Potential
from forgefield.trainers.settings import EGNNSettings, ModelSettings

MODELS: dict[type[ModelSettings], type[EGNN]] = {EGNNSettings: EGNN}


def build(settings: ModelSettings) -> Potential:
    """A network with fresh weights from torch's current random state."""
    return MODELS[type(settings)](settings)
