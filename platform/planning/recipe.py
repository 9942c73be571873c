"""A recipe: every setting of a campaign that is not the molecule and the budget.

Written by hand in TOML (`deploy/recipes/`), each section owned by the module that uses it;
saved resolved, as JSON, inside every plan.
"""

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from forgefield.labelers.sampling import SamplingSettings
from forgefield.platform.choosing.settings import ExploreSettings
from forgefield.platform.forecasting.error_model import ErrorModelSettings
from forgefield.platform.forecasting.stopping import StopRules
from forgefield.platform.planning.allocation import AllocationSettings
from forgefield.platform.planning.budget import Prices
from forgefield.platform.planning.problems import describe
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.stand_in_names import at_its_tier, is_posing, is_real, is_replayed
from forgefield.platform.stand_ins.settings import (
    Posed,
    PosingSettings,
    Replayed,
    ReplaySettings,
    named_as_replayed,
)
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier
from forgefield.trainers.stages.asteroid import AsteroidSettings

if TYPE_CHECKING:
    from forgefield.labelers.labeler import Labeler

DEFAULT_BOOK = "labels.sqlite"


class Methods(Document):
    """The method at each tier, by its full name."""

    empirical: str = "MMFF94"
    xtb: str = "GFN2-xTB"
    dft: str = "PBE/def2-SVP"
    ccsd: str = "CCSD(T)/cc-pVDZ, frozen core"

    @field_validator("empirical", "xtb", "dft", "ccsd")
    @classmethod
    def _known_at_its_tier(cls, name: str, info: ValidationInfo) -> str:
        """The name in its one spelling."""
        return at_its_tier(name, str(info.field_name))

    def of(self, tier: Tier) -> str:
        """Name of the method at `tier`."""
        name: str = getattr(self, tier.value)
        return name


class LabelSettings(Document):
    """How labels run: threads each (None: chosen to fit), batches, limits, retries.

    A label reserves `limit_factor` times its expected cost plus `limit_extra_s`. Where it
    overruns that, as much again is reserved up to `extensions` times while the budget has it;
    then it has `grace_s` more, which cost nothing, and is killed and charged. `book` is the label
    book that runs share: a path, relative to the folder that the run folder lies in, a database
    URL, or nothing to share none. Labels that cost less than `book_least` core-seconds aren't
    looked up in it; a run that it hasn't heard of for `book_patience` seconds is waited for no
    longer.
    """

    threads: PositiveInt | None = None
    batch_core_seconds: PositiveFloat = 2.0
    largest_batch: PositiveInt = 1000
    limit_factor: PositiveFloat = Field(2.5, ge=1)
    limit_extra_s: PositiveFloat = 5.0
    attempts: PositiveInt = 3
    extensions: PositiveInt = 4
    grace_s: NonNegativeFloat = 15.0
    wave: PositiveInt = 6
    book: str = DEFAULT_BOOK
    book_least: NonNegativeFloat = 0.1
    book_patience: PositiveFloat = 900.0

    @field_validator("book")
    @classmethod
    def _without_password(cls, place: str) -> str:
        """Recipes are saved with every run."""
        if "://" in place and re.search(r"//[^/@]*:[^/@]*@", place):
            raise ValueError("write no password here; use ~/.pgpass or PGPASSWORD")
        return place


class Recipe(Document):
    """All sections; the defaults are `deploy/recipes/default.toml`."""

    methods: Methods = Methods()
    sampling: SamplingSettings = SamplingSettings()
    labels: LabelSettings = LabelSettings()
    allocation: AllocationSettings = AllocationSettings()
    training: AsteroidSettings = AsteroidSettings()
    prices: Prices = Prices()
    forecast: ErrorModelSettings = ErrorModelSettings()
    stopping: StopRules = StopRules()
    rounds: RoundSettings = RoundSettings()
    explore: ExploreSettings = ExploreSettings()
    replay: ReplaySettings = ReplaySettings()
    posing: PosingSettings = PosingSettings()

    @model_validator(mode="before")
    @classmethod
    def _called_so(cls, recipe: Any) -> Any:  # noqa: ANN401
        return named_as_replayed(recipe) if isinstance(recipe, dict) else recipe

    @model_validator(mode="after")
    def _stand_ins_are_called_so(self) -> Self:
        for tier in Tier:
            name = self.methods.of(tier)
            if is_replayed(name) and self.replay.of(tier) is None:
                raise ValueError(f"{name!r} needs a file and a price, in replay.{tier}")
            if self.posing.of(tier) is not None and not is_posing(name):
                raise ValueError(f"posing.{tier} has a price, but {name!r} poses as nothing")
        if self.has_stand_ins and self.labels.book:
            if self.labels.book != DEFAULT_BOOK:
                raise ValueError("labels of stand-ins enter no label book: leave labels.book out")
            bookless = self.labels.model_copy(update={"book": ""})
            object.__setattr__(self, "labels", bookless)
        return self

    @model_validator(mode="after")
    def _scores_are_of_samples(self) -> Self:
        """Score matching learns the potential that its frames are samples of."""
        for phase in self.training.pretrain:
            if phase.objective != "scores" or any(self.replay.of(tier) for tier in phase.tiers):
                continue
            if set(self.sampling.temperatures) != {phase.temperature}:
                sampled = ", ".join(f"{each:g}" for each in self.sampling.temperatures)
                raise ValueError(
                    f"score matching at {phase.temperature:g} K needs frames of that temperature, "
                    f"but sampling.temperatures are {sampled} K"
                )
            if self.rounds.most_rounds > 1:
                raise ValueError(
                    "score matching needs samples, not frames that rounds chose: set "
                    "rounds.most_rounds = 1"
                )
        return self

    @property
    def has_stand_ins(self) -> bool:
        """Whether labels of some tier are replayed from a file, or pose as another method's."""
        return not all(is_real(self.methods.of(tier)) for tier in Tier)

    def stand_in(self, tier: Tier) -> Replayed | Posed | None:
        """What stands in for the method of a tier; nothing where it is computed as called."""
        return self.replay.of(tier) or self.posing.of(tier)

    def is_priced(self, tier: Tier) -> bool:
        """Whether labels of a tier are charged a stated price, not what they take."""
        stand_in = self.stand_in(tier)
        return stand_in is not None and stand_in.price is not None

    def labeler(self, tier: Tier) -> "Labeler":
        """The labeler of a tier's method."""
        from forgefield.platform.stand_ins.labelers import stand_in_or_real

        return stand_in_or_real(self.methods.of(tier), tier, self.stand_in(tier))


def load_recipe(path: str | Path | None) -> Recipe:
    """Read a TOML recipe, or the defaults for `None`; raises `InputError` naming the bad key."""
    if path is None:
        return Recipe()
    try:
        read = Recipe.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        replay = read.replay.anchored(Path(path).resolve().parent)
        return read.model_copy(update={"replay": replay}) if replay.tiers else read
    except OSError as error:
        raise InputError(f"Can't read the recipe {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe {path} is not TOML: {error}.") from error
    except ValidationError as error:
        raise InputError(f"The recipe {path} has {describe(error, Recipe)}") from error
