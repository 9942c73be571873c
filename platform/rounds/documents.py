"""What a round leaves: its folder `rounds/N`, and `round.json` once it has decided.

Every step of a round is skipped where its file is there, and every file is whole or absent:

    ahead.npz      random labels bought while the round before was training
    choice.npz     all that the round labels, with the arm that chose it; before any is bought
    frames.zarr    the frames that it trains on, which don't grow (`platform/snapshots.py`)
    training/      a folder a stage
    round.json     errors seen, forecast and decision: the round is over

Units: errors in kcal/mol/Å (force MAE), costs in core-seconds, wall times in s.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import NonNegativeInt, ValidationError

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.error_model import Forecast
from forgefield.platform.forecasting.outcomes import Kind, Outcome, Training
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store.durable_store import make_folder


class Course(StrEnum):
    """How a campaign goes on after a round."""

    ON = "go on"
    LAST = "buy a last time"
    STOP = "stop"


class CountsDocument(Document):
    """Training labels by tier, calibration included; or how many more of them."""

    target: NonNegativeInt
    middle: NonNegativeInt = 0
    cheap: NonNegativeInt = 0

    @classmethod
    def of(cls, counts: Counts) -> "CountsDocument":
        """The same as JSON."""
        return cls(target=counts.target, middle=counts.middle, cheap=counts.cheap)

    def to_counts(self) -> Counts:
        """The same for the error model."""
        return Counts(self.target, self.middle, self.cheap)


class OutcomeDocument(Document):
    """An error seen on `frames` validation frames, and the training behind it.

    Older versions didn't say how long: as long as their plan's rounds take.
    """

    counts: CountsDocument
    kind: Kind
    error: float
    frames: int
    effort: float | None = None
    members: int = 1

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeDocument":
        """The same as JSON."""
        return cls(
            counts=CountsDocument.of(outcome.counts),
            kind=outcome.kind,
            error=outcome.error,
            frames=outcome.frames,
            effort=outcome.training.effort,
            members=outcome.training.members,
        )

    def to_outcome(self, usual: Training) -> Outcome:
        """The same for the error model; `usual` is the training of a round of its plan."""
        training = usual if self.effort is None else Training(self.effort, self.members)
        return Outcome(self.counts.to_counts(), self.kind, self.error, self.frames, training)


class Band(Document):
    """Error at which one in ten, five in ten and nine in ten forecasts lie below."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, forecast: Forecast) -> "Band":
        """The same as JSON."""
        return cls(low=forecast.low, median=forecast.median, high=forecast.high)


class Round(Document):
    """A round that is over.

    `counts` were trained on; `bought_ahead` are at hand beyond them, and `buy` is what comes on top
    of both. `error` is the best force field's on the validation frames, `expected` what the rounds
    before had forecast of it. `band` is the forecast now for the last training on all labels at
    hand, `ahead` that after `buy`.
    `members` are the force fields of the committee, folders relative to the round's. `spend_rest`:
    what is left in the end goes into a top-up.
    """

    number: NonNegativeInt
    counts: CountsDocument
    outcomes: tuple[OutcomeDocument, ...]
    error: float
    expected: Band | None
    band: Band
    ahead: Band | None
    decision: Course
    why: str
    spend_rest: bool
    bought_ahead: CountsDocument
    buy: CountsDocument
    members: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    wall_s: float = 0.0
    trained_s: float = 0.0
    spent: float
    left: float


@dataclass(frozen=True, slots=True)
class RoundFolder:
    """Paths of round `number` of a run."""

    root: Path
    number: int

    @classmethod
    def of(cls, folder: RunFolder, number: int) -> "RoundFolder":
        """Where round `number` of a run lies."""
        return cls(folder.rounds / str(number), number)

    def create(self) -> None:
        """Make the folder, durably."""
        make_folder(self.training)

    @property
    def ahead(self) -> Path:
        """Labels bought before the round was chosen."""
        return self.root / "ahead.npz"

    @property
    def choice(self) -> Path:
        """All labels of the round."""
        return self.root / "choice.npz"

    @property
    def wishes(self) -> tuple[Path, Path]:
        """All that was wanted for the round, whether or not it was chosen in the end."""
        return self.ahead, self.choice

    @property
    def frames(self) -> Path:
        """What the round trains on."""
        return self.root / "frames.zarr"

    @property
    def training(self) -> Path:
        """One folder a stage."""
        return self.root / "training"

    @property
    def record(self) -> Path:
        """The round's end."""
        return self.root / "round.json"

    def write(self, record: Round) -> None:
        """End the round."""
        write_atomically(self.record, record.model_dump_json(indent=1))

    def read(self) -> Round | None:
        """How it ended, or `None`; raises `InputError` for a file of another program."""
        try:
            return Round.model_validate_json(self.record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValidationError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.record} is damaged or of another version. Move it away: the round is "
                "decided again from what it has trained."
            ) from error


def ended_rounds(folder: RunFolder) -> list[Round]:
    """All rounds that have ended, in their order."""
    found: list[Round] = []
    while (record := RoundFolder.of(folder, len(found)).read()) is not None:
        found.append(record)
    return found
