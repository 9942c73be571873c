"""What a recipe says of stand-ins: which tiers are replayed from files, and prices of posing ones.

    [replay]
    test_frames = 200            # set apart from the target's file, to measure the end's error on

    [replay.ccsd]
    file = "ethanol.npz"         # any format of `platform import`; relative to the recipe
    method = "CCSD(T)/cc-pVTZ"   # what labelled it
    unit = "kcal/mol"            # of its energies; forces are in it by Å
    price = 300.0                # core-seconds that one of its labels is charged

Tiers without a section are computed as ever, on the geometries of the files. Prices are in
core-seconds.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    NonNegativeInt,
    ValidationError,
    field_validator,
    model_validator,
)

from forgefield.platform.stand_in_names import POSING, REPLAYED, replayed_name
from forgefield.storage.documents import Document
from forgefield.storage.records import Tier

LARGEST_SPREAD = 0.25
"""A label has to fit into what is reserved for it, at the least 1.3 times the expected cost."""
DEAREST = 1e12
"""Core-seconds of a label: more than any molecule that is labelled."""
Price = Annotated[float, Field(gt=0, le=DEAREST)]


def _place(path: Path) -> Path:
    """A path with its `~` put in; raises `ValueError` for what can't be one."""
    if "\0" in str(path):
        raise ValueError("a path has no zero bytes")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"there is no such home folder: {error}") from error


Place = Annotated[Path, AfterValidator(_place)]


class Replayed(Document):
    """A file whose labels of `method` a tier takes, each at `price` × (1 ± `spread`).

    The label of a share `failures` of the geometries fails, at the same price. `trust` leaves the
    doubts about units and signs out.
    """

    file: Place
    method: str = Field(min_length=1, max_length=190)
    price: Price
    unit: str | None = None
    spread: float = Field(0.0, ge=0, le=LARGEST_SPREAD)
    failures: float = Field(0.0, ge=0, le=0.5)
    trust: bool = False

    @field_validator("method")
    @classmethod
    def _plain(cls, name: str) -> str:
        bare = " ".join(name.split()).removesuffix(REPLAYED)
        if POSING in bare:
            raise ValueError("labels of a file pose as nothing: give the method that made them")
        return bare


class Posed(Document):
    """What a label of a posing tier is charged; `None`: what it really takes."""

    price: Price | None = None


class ReplaySettings(Document):
    """Files by tier, and the frames that measure the end: of a file, or set apart from one.

    `test` is a file of the target's method, in the same unit.
    """

    empirical: Replayed | None = None
    xtb: Replayed | None = None
    dft: Replayed | None = None
    ccsd: Replayed | None = None
    test: Place | None = None
    test_frames: NonNegativeInt = 0

    @model_validator(mode="after")
    def _tests_have_labels(self) -> Self:
        if (self.test is not None or self.test_frames) and self.ccsd is None:
            raise ValueError("test frames are of the target tier: give replay.ccsd")
        if self.test is not None and self.test_frames:
            raise ValueError("give test or test_frames, not both")
        return self

    def of(self, tier: Tier) -> Replayed | None:
        """The file of a tier."""
        found: Replayed | None = getattr(self, tier.value)
        return found

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Those that are replayed, cheapest first."""
        return tuple(tier for tier in Tier if self.of(tier) is not None)

    @property
    def files(self) -> tuple[Replayed, ...]:
        """What is said of them, cheapest tier first."""
        return tuple(found for tier in Tier if (found := self.of(tier)) is not None)

    def source(self, tier: Tier) -> Tier:
        """The replayed tier whose geometries a tier takes: its own, the next above, or below."""
        above = [each for each in self.tiers if tuple(Tier).index(each) >= tuple(Tier).index(tier)]
        return above[0] if above else self.tiers[-1]

    def anchored(self, folder: Path) -> "ReplaySettings":
        """The same with absolute paths; relative ones were meant from `folder`."""
        files = {
            tier.value: found.model_copy(update={"file": _absolute(found.file, folder)})
            for tier in self.tiers
            if (found := self.of(tier)) is not None
        }
        test = None if self.test is None else _absolute(self.test, folder)
        return self.model_copy(update={**files, "test": test})


class PosingSettings(Document):
    """Prices of tiers whose methods pose as others; `platform rehearse` fills them in."""

    empirical: Posed | None = None
    xtb: Posed | None = None
    dft: Posed | None = None
    ccsd: Posed | None = None

    def of(self, tier: Tier) -> Posed | None:
        """What is said of a tier."""
        found: Posed | None = getattr(self, tier.value)
        return found


def named_as_replayed(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe as written, with the methods of replayed tiers called so.

    Raises `ValueError` where `methods` and `replay` name two methods for one tier. What is wrong
    within a section is left to it, which says where.
    """
    try:
        replay = ReplaySettings.model_validate(recipe.get("replay") or {})
    except ValidationError:
        return recipe
    files = {tier.value: replay.of(tier) for tier in replay.tiers}
    names = {tier: replayed_name(found.method) for tier, found in files.items() if found}
    if not names:
        return recipe
    methods = recipe.get("methods") or {}
    if not isinstance(methods, BaseModel | dict):
        return recipe
    said = methods.model_dump() if isinstance(methods, BaseModel) else methods
    for tier, name in names.items():
        if said.get(tier, name) not in (name, name.removesuffix(REPLAYED)):
            raise ValueError(
                f"methods.{tier} is {said[tier]!r} and replay.{tier}.method is "
                f"{name.removesuffix(REPLAYED)!r}; leave methods.{tier} out"
            )
    return {**recipe, "methods": said | names}


def _absolute(path: Path, folder: Path) -> Path:
    return (folder / path).resolve()
