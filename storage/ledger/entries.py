"""What the ledger answers with: frozen values, money in micro core-seconds."""

from dataclasses import dataclass
from enum import StrEnum

from forgefield.storage.records import Failure, Job, Method, Purpose, Tier


class State(StrEnum):
    """Where a job stands. `WAITING`: known, its reservation was given back unused."""

    RESERVED = "reserved"
    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"


class EntryKind(StrEnum):
    """What a line of the money log moves.

    `CAP` raises the cap by its (signed) amount; `RESERVE` sets money aside; `LABEL` and `FAILED`
    turn reserved money into spent money; `RELEASE` gives reserved money back; `OVERRUN` moves
    nothing: it notes what a reservation used beyond its amount, which nobody is charged for.
    `IMPORT` notes labels that came in and cost nothing, `WITHDRAW` labels that were taken back and
    stay paid; the amount of both is 0.
    """

    CAP = "cap"
    RESERVE = "reserve"
    LABEL = "label"
    FAILED = "failed"
    RELEASE = "release"
    OVERRUN = "overrun"
    IMPORT = "import"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Balance:
    """The budget at one instant; spent + reserved never exceeds the cap."""

    cap_micro: int
    spent_micro: int
    reserved_micro: int

    @property
    def left_micro(self) -> int:
        """What can still be reserved."""
        return self.cap_micro - self.spent_micro - self.reserved_micro


@dataclass(frozen=True, slots=True)
class TierTally:
    """Labels and money of one tier and purpose.

    `done`, `failed` and `in_flight` count jobs by where they stand now, `failed_attempts` every
    failed try, `bought` labels that were paid for and `adopted` those that cost nothing, both with
    what was taken back later, which is `withdrawn`. So money is divided by `bought`, never by
    `done`. `spent_micro` includes `spent_on_failures_micro`. Mean and sample standard deviation of
    the core-seconds per label that was bought are NaN where too few are known.
    """

    tier: Tier
    purpose: Purpose
    done: int
    failed: int
    in_flight: int
    failed_attempts: int
    spent_micro: int
    spent_on_failures_micro: int
    mean_core_seconds: float
    std_core_seconds: float
    bought: int = 0
    adopted: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class OpenReservation:
    """Money set aside for jobs that nobody has settled yet; `opened_at` is Unix time."""

    id: int
    jobs: tuple[Job, ...]
    amount_micro: int
    opened_at: float


@dataclass(frozen=True, slots=True)
class JobState:
    """Where one job stands, how often it was tried, and how it last failed.

    `lost_micro` is what the dearest attempt at a failed job took; 0 of all others.
    """

    state: State
    attempts: int
    failure: Failure | None
    lost_micro: int = 0


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One failed attempt and what it cost; `at` is Unix time."""

    seq: int
    job_key: str
    reservation: int
    method: Method
    purpose: Purpose
    molecule: str
    failure: Failure
    used_micro: int
    at: float


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A settled label that was taken back: its own number, the frame's, and why.

    `packed`: the frame store knows of it; `at` is Unix time.
    """

    seq: int
    frame_seq: int
    job_key: str
    reason: str
    at: float
    packed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the money log; `at` is Unix time."""

    id: int
    at: float
    kind: EntryKind
    reservation: int | None
    amount_micro: int
    note: str


@dataclass(frozen=True, slots=True)
class Payment:
    """What one attempt at a label was charged, failed ones too; `at` is Unix time."""

    at: float
    tier: Tier
    used_micro: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The books at one instant: balance, labels by tier and purpose, the end of the money log.

    `count` is how many lines the whole log has.
    """

    balance: Balance
    tally: tuple[TierTally, ...]
    entries: tuple[Entry, ...]
    count: int
