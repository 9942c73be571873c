"""A small one of every model, for tests of what all of them must obey."""

from typing import Any

from graphs_at_hand import CUTOFF, ELEMENTS

from forgefield.trainers.model_settings import (
    EGNNSettings,
    GemNetSettings,
    ModelSettings,
    NequIPSettings,
    PaiNNSettings,
    SchNetSettings,
)

SHARED: dict[str, Any] = {"cutoff": CUTOFF, "elements": ELEMENTS}
SMALL: dict[type[Any], ModelSettings] = {
    EGNNSettings: EGNNSettings(layers=3, channels=8, radial=6, **SHARED),
    SchNetSettings: SchNetSettings(layers=2, channels=8, filters=6, radial=6, **SHARED),
    PaiNNSettings: PaiNNSettings(layers=3, channels=6, radial=4, **SHARED),
    NequIPSettings: NequIPSettings(
        layers=3, channels=(5, 4, 3), radial=4, radial_width=6, species=3, products=2, **SHARED
    ),
    GemNetSettings: GemNetSettings(
        blocks=2,
        atom_channels=8,
        edge_channels=6,
        triplet_channels=5,
        radial_channels=4,
        circular_channels=4,
        bilinear_channels=5,
        spherical=3,
        radial=3,
        **SHARED,
    ),
}
