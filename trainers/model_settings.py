"""Sizes of the models: data alone, no torch (see `settings`)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from forgefield.storage.documents import Document

Fade = Literal["smooth", "cosine"]
AtomicNumber = Annotated[int, Field(ge=1, le=118)]


def _read_table(value: object) -> object:
    """Recipes and plans of before give the length of a table of all elements."""
    return () if isinstance(value, int) and not isinstance(value, bool) else value


class SharedSettings(Document):
    """What all models have: `cutoff` in Å and `heads`, the number of readouts.

    `elements` are the atomic numbers it has weights for; left empty, a stage takes those of its
    frames.
    """

    title: ClassVar[str]

    cutoff: float = Field(default=5.0, gt=0)
    elements: Annotated[tuple[AtomicNumber, ...], BeforeValidator(_read_table)] = ()
    heads: int = Field(default=1, ge=1)

    @property
    def size(self) -> str:
        """Its size, for the middle of a sentence."""
        raise NotImplementedError

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the models whose papers describe it."""
        return (self.title,)


class EGNNSettings(SharedSettings):
    """EGNN; `move` switches the equivariant coordinate update on."""

    title: ClassVar[str] = "EGNN"
    kind: Literal["egnn"] = "egnn"
    layers: int = Field(default=5, ge=1)
    channels: int = Field(default=128, ge=1)
    radial: int = Field(default=24, ge=2)
    move: bool = True

    @property
    def size(self) -> str:
        """Layers and channels."""
        return f"{self.layers} layers and {self.channels} channels"


class SchNetSettings(SharedSettings):
    """SchNet; `fade` is the envelope, `cosine` that of other programs, with a kink in forces."""

    title: ClassVar[str] = "SchNet"
    kind: Literal["schnet"] = "schnet"
    layers: int = Field(default=6, ge=1)
    channels: int = Field(default=128, ge=2)
    filters: int = Field(default=128, ge=1)
    radial: int = Field(default=50, ge=2)
    fade: Fade = "smooth"

    @property
    def size(self) -> str:
        """Layers and channels."""
        return f"{self.layers} layers and {self.channels} channels"


class PaiNNSettings(SharedSettings):
    """PaiNN; `fade` as in SchNet, `cosine` that of the paper."""

    title: ClassVar[str] = "PaiNN"
    kind: Literal["painn"] = "painn"
    layers: int = Field(default=3, ge=1)
    channels: int = Field(default=128, ge=2)
    radial: int = Field(default=20, ge=1)
    fade: Fade = "smooth"

    @property
    def size(self) -> str:
        """Layers and channels."""
        return f"{self.layers} layers and {self.channels} channels"


class NequIPSettings(SharedSettings):
    """NequIP; `channels[l]` features of order l, so their number sets the largest l (≤ 2).

    `neighbours` is how many an atom is taken to have: sums are divided by its root. `species` is
    the length of an element's embedding. `products` are channels of the products of an atom's
    features with themselves; 0 is NequIP as published.
    """

    title: ClassVar[str] = "NequIP"
    kind: Literal["nequip"] = "nequip"
    layers: int = Field(default=4, ge=1)
    channels: tuple[int, ...] = Field(default=(64, 32, 16), min_length=1, max_length=3)
    radial: int = Field(default=8, ge=1)
    radial_width: int = Field(default=64, ge=1)
    species: int = Field(default=16, ge=1)
    neighbours: float = Field(default=10.0, gt=0)
    products: int = Field(default=16, ge=0)

    @property
    def size(self) -> str:
        """Layers, and channels of each order."""
        orders = " + ".join(f"{count}×(l={l})" for l, count in enumerate(self.channels))
        combined = f", products of {self.products} between them" if self.products else ""
        return f"{self.layers} layers and {orders} channels{combined}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Products are MACE's idea."""
        return (self.title, "MACE") if self.products else (self.title,)


class GemNetSettings(SharedSettings):
    """GemNet-T; the published sizes, those of its weights and of the ASTEROID paper.

    `neighbours` is how many an atom is taken to have: sums are divided by its root. `residuals_…`
    are numbers of residual layers: of messages before and after the skip, of messages from atoms,
    and of atoms.
    """

    title: ClassVar[str] = "GemNet-T"
    kind: Literal["gemnet"] = "gemnet"
    blocks: int = Field(default=4, ge=1)
    atom_channels: int = Field(default=128, ge=1)
    edge_channels: int = Field(default=128, ge=1)
    triplet_channels: int = Field(default=64, ge=1)
    radial_channels: int = Field(default=16, ge=1)
    circular_channels: int = Field(default=16, ge=1)
    bilinear_channels: int = Field(default=64, ge=1)
    spherical: int = Field(default=7, ge=2)
    radial: int = Field(default=6, ge=1)
    residuals_before: int = Field(default=1, ge=0)
    residuals_after: int = Field(default=1, ge=0)
    residuals_last: int = Field(default=1, ge=0)
    residuals_atom: int = Field(default=2, ge=0)
    neighbours: float = Field(default=12.0, gt=0)

    @property
    def size(self) -> str:
        """Layers and channels."""
        return f"{self.blocks} blocks and {self.edge_channels} channels an edge"


def _kind(value: Any) -> str:  # noqa: ANN401
    """Settings without a kind are those of the first model there was."""
    found = value.get("kind", "egnn") if isinstance(value, dict) else getattr(value, "kind", "none")
    return str(found)


def _by_kind(value: Any) -> Any:  # noqa: ANN401
    """`"egnn"` for `{kind = "egnn"}`."""
    return {"kind": value} if isinstance(value, str) else value


ModelSettings = Annotated[
    Annotated[EGNNSettings, Tag("egnn")]
    | Annotated[SchNetSettings, Tag("schnet")]
    | Annotated[PaiNNSettings, Tag("painn")]
    | Annotated[NequIPSettings, Tag("nequip")]
    | Annotated[GemNetSettings, Tag("gemnet")],
    Discriminator(_kind),
    BeforeValidator(_by_kind),
]
"""Told apart by `kind`."""


def as_saved(model: Any) -> Any:  # noqa: ANN401
    """Settings from a file as they were meant: NequIP without `products` had none.

    Files hold all settings, so what one leaves out wasn't there when it was made.
    """
    if isinstance(model, dict) and model.get("kind") == "nequip":
        return {"products": 0, **model}
    return model
