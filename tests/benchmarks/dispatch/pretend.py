"""A ledger that says yes to everything, to see what the dispatcher takes by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from virtual import Meter

from forgefield.platform.buying.shared_labels import Asked
from forgefield.storage.ledger.entries import Balance, JobState, State
from forgefield.storage.records import Job


class PretendLedger:
    """Counts reservations, and remembers nothing."""

    def __init__(self, _folder: Path, _meter: Meter) -> None:
        self.reservations = 0

    def reserve(self, _jobs: Sequence[Job], _micro: int) -> int:
        """The next number."""
        self.reservations += 1
        return self.reservations

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:  # noqa: ARG002
        """All are to be bought."""
        return Asked(granted=tuple(job.key() for job in jobs))

    def balance(self) -> Balance:
        """Plenty."""
        return Balance(10**15, 0, 0)

    def tally(self) -> tuple[()]:
        """Nothing was bought before."""
        return ()

    def charged(self, _reservation: int) -> int:
        """A dead worker's label cost nothing."""
        return 0

    def job_states(self, keys: Sequence[str]) -> dict[str, JobState]:
        """Asked for what a dead worker had: it failed."""
        return {key: JobState(State.FAILED, 1, None) for key in keys}

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_named: None
