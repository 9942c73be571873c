"""Sizes of the models: data alone, no torch (see `settings`)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class SharedSettings(BaseModel):
    """What all models have: `cutoff` in Å and `heads`, the number of readouts.

    `elements` are the atomic numbers it has weights for; left empty, a stage takes those of its
    frames.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cutoff: float = Field(default=5.0, gt=0)
    elements: tuple[int, ...] = ()
    heads: int = Field(default=1, ge=1)


class EGNNSettings(SharedSettings):
    """EGNN; `move` switches the equivariant coordinate update on."""

    kind: Literal["egnn"] = "egnn"
    layers: int = Field(default=5, ge=1)
    channels: int = Field(default=128, ge=1)
    radial: int = Field(default=24, ge=2)
    move: bool = True


class SchNetSettings(SharedSettings):
    """SchNet."""

    kind: Literal["schnet"] = "schnet"
    layers: int = Field(default=6, ge=1)
    channels: int = Field(default=128, ge=1)
    filters: int = Field(default=128, ge=1)
    radial: int = Field(default=50, ge=2)


class PaiNNSettings(SharedSettings):
    """PaiNN."""

    kind: Literal["painn"] = "painn"
    layers: int = Field(default=3, ge=1)
    channels: int = Field(default=128, ge=1)
    radial: int = Field(default=20, ge=1)


class NequIPSettings(SharedSettings):
    """NequIP; `channels[l]` features of order l, so their number sets the largest l (≤ 2).

    `neighbours` is how many an atom is taken to have: sums are divided by its root. `species` is
    the length of an element's embedding.
    """

    kind: Literal["nequip"] = "nequip"
    layers: int = Field(default=4, ge=1)
    channels: tuple[int, ...] = Field(default=(64, 32, 16), min_length=1, max_length=3)
    radial: int = Field(default=8, ge=1)
    radial_width: int = Field(default=64, ge=1)
    species: int = Field(default=16, ge=1)
    neighbours: float = Field(default=10.0, gt=0)


class GemNetSettings(SharedSettings):
    """GemNet-T; names and sizes of the ASTEROID paper."""

    kind: Literal["gemnet"] = "gemnet"
    blocks: int = Field(default=4, ge=1)
    atom_channels: int = Field(default=128, ge=1)
    edge_channels: int = Field(default=128, ge=1)
    triplet_channels: int = Field(default=64, ge=1)
    radial_channels: int = Field(default=16, ge=1)
    circular_channels: int = Field(default=16, ge=1)
    bilinear_channels: int = Field(default=64, ge=1)
    spherical: int = Field(default=7, ge=1)
    radial: int = Field(default=6, ge=1)


def _kind(value: Any) -> str:  # noqa: ANN401
    """Settings without a kind are those of the first model there was."""
    found = value.get("kind", "egnn") if isinstance(value, dict) else value.kind
    return str(found)


ModelSettings = Annotated[
    Annotated[EGNNSettings, Tag("egnn")]
    | Annotated[SchNetSettings, Tag("schnet")]
    | Annotated[PaiNNSettings, Tag("painn")]
    | Annotated[NequIPSettings, Tag("nequip")]
    | Annotated[GemNetSettings, Tag("gemnet")],
    Discriminator(_kind),
]
"""Told apart by `kind`."""
