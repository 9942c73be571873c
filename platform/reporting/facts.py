"""Everything the report knows, read from a run folder at any moment of the run's life.

Nothing is computed or changed here. What isn't there yet is `None`, never an error: a report of
half a run is a report.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from forgefield.platform.buying.saved_labels import Saved, saved_labels
from forgefield.platform.evaluating import Evaluation
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.rounds.documents import Round, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.run_spans import Span, merged, spans_of
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import Balance, Entry, FailureRow, Payment, TierTally
from forgefield.storage.records import Purpose
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR
from forgefield.trainers.stages.asteroid import TrainingOutcome

Kept = TypeVar("Kept", bound=BaseModel)
OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """A run as its files show it; `frames` holds all purposes, the hold-out included.

    `rounds` are those that have ended; none where everything was bought at once.
    """

    folder: RunFolder
    plan: Plan | None
    balance: Balance
    tally: tuple[TierTally, ...]
    entries: tuple[Entry, ...]
    failures: tuple[FailureRow, ...]
    frames: Frames | None
    evaluation: Evaluation | None
    outcome: TrainingOutcome | None
    spans: tuple[Span, ...]
    saved: Saved = field(default_factory=Saved)
    payments: tuple[Payment, ...] = ()
    rounds: tuple[Round, ...] = ()

    @property
    def members(self) -> int:
        """Networks of the force field that was trained, or is going to be."""
        if self.outcome is not None:
            return len(self.outcome.members)
        return self.plan.last_training.members if self.plan else 1

    @property
    def unit(self) -> str:
        """The budget's unit: `ccsd`, `$` …; core-hours before there is a plan."""
        return re.sub(r"[0-9.]+", "", self.plan.budget) if self.plan else "core-h"

    @property
    def unit_core_seconds(self) -> float:
        """Core-seconds of one unit."""
        return self.plan.unit_core_seconds if self.plan else float(CORE_SECONDS_PER_CORE_HOUR)

    @property
    def molecule(self) -> str:
        """Name of the molecule, as far as it is known."""
        if self.plan is not None:
            return self.plan.molecule.name
        named = self.frames.molecules if self.frames is not None else ()
        return named[0] if named else "A molecule"

    @property
    def updated(self) -> float | None:
        """Unix time of the last thing that happened; None where nothing has."""
        times = [entry.at for entry in self.entries[-1:]] + [span.end for span in self.spans]
        return max(times, default=None)

    @property
    def wall_s(self) -> float:
        """Seconds in which some step was at work; steps inside others count once."""
        return sum(end - start for start, end in merged(self.spans))


def read_facts(folder: RunFolder) -> Facts:
    """Read a run folder; raises `StorageError` only where the ledger itself can't be read."""
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        balance, tally = ledger.balance(), ledger.tally()
        entries, failures = ledger.entries(), ledger.failures()
        saved, payments = saved_labels(ledger), ledger.payments()
    return Facts(
        folder=folder,
        plan=_plan(folder),
        balance=balance,
        tally=tally,
        entries=entries,
        failures=failures,
        frames=_frames(folder.frames),
        evaluation=_document(folder.evaluation, Evaluation),
        outcome=_document(folder.training / OUTCOME, TrainingOutcome),
        spans=spans_of(folder.events(), [entry.at for entry in entries]),
        saved=saved,
        payments=payments,
        rounds=tuple(ended_rounds(folder)),
    )


def _plan(folder: RunFolder) -> Plan | None:
    return load_plan(folder.plan) if folder.plan.exists() else None


def _frames(path: Path) -> Frames | None:
    try:
        frames = load_frames(path, tuple(Purpose))
    except StorageError:
        return None
    return frames if len(frames) else None


def _document(path: Path, kind: type[Kept]) -> Kept | None:
    """A JSON document, `None` where there is none; raises `InputError` for another one."""
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not what this version writes. Move it away and make it again with "
            f"`platform run`."
        ) from error
