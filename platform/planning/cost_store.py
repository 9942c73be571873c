"""What labels have cost on this host, kept from run to run: one small JSON file a user.

It lies in the user's cache (`$XDG_CACHE_HOME` or `~/.cache`, `forgefield/costs.json`), not in the
label book: costs belong to a machine while labels belong to molecules, a book may be a server that
many hosts share or may be switched off, and what is lost here is measured again by the next
calibration. For the same reason nothing here ever stops a run: a file that can't be read counts as
empty, one that can't be written is said and left. Writers take turns by a lock, and a crash leaves
the old file or the new one.

One record a host, method, program's version, threads and molecule: the latest that has `ENOUGH`
labels behind it, so that what a busy day measured is forgotten. Core-seconds a label.
"""

import math
import platform
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic import ValidationError as Invalid

from forgefield.platform.planning.cost_scaling import Measured
from forgefield.platform.stand_in_names import is_real
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.user_cache import alone_with, cache_file

MOST_RECORDS = 2000
ENOUGH = 2
"""Labels that show a scatter of their own; fewer never replace as many."""

Place = tuple[str, str, str, int, str]


class CostRecord(BaseModel):
    """Labels of one molecule by one method: their cost beside the formula's, and its scatter.

    `molecule` is the composition and the charge, since the formula knows no more; `scatter` is the
    sample deviation of ln cost, None for fewer than two labels; `at` is Unix time. `version` is the
    program's, empty in files of before and where it isn't known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    host: str
    method: str
    version: str = ""
    threads: PositiveInt
    molecule: str
    predicted: PositiveFloat
    core_seconds: PositiveFloat
    labels: PositiveInt
    scatter: NonNegativeFloat | None
    at: float

    @property
    def place(self) -> Place:
        """What there is one record of."""
        return self.host, self.method, self.version, self.threads, self.molecule

    def to_measured(self, version: str) -> Measured:
        """Without host, method and time, for labels by `version`."""
        scatter = math.nan if self.scatter is None else self.scatter
        known = self.molecule, self.predicted, self.core_seconds, self.labels, scatter
        return Measured(*known, self.threads, self.version == version)


class _CostFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = 1
    records: tuple[CostRecord, ...] = ()


def cost_file() -> Path:
    """Where this user's costs are kept."""
    return cache_file("costs.json")


def known_costs(method: str, version: str) -> tuple[Measured, ...]:
    """What was measured on this host by `method`: on any threads, and by any version.

    Labels of other threads or versions than the next ones say less of them (`cost_scaling`).
    """
    if not is_real(method):  # a stated price says nothing of this host
        return ()
    here = [r for r in _read(cost_file()) if (r.host, r.method) == (platform.node(), method)]
    return tuple(record.to_measured(version) for record in here)


def remember_costs(records: Sequence[CostRecord]) -> str:
    """Keep the records; why that wasn't possible in words, else nothing."""
    path = cost_file()
    try:
        with alone_with(path):
            real = [record for record in records if is_real(record.method)]
            kept = _best((*_read(path), *real))
            latest = sorted(kept.values(), key=lambda record: record.at)[-MOST_RECORDS:]
            body = _CostFile(records=tuple(latest)).model_dump_json(indent=1)
            replace_file(path, [body.encode()])
    except OSError as error:
        return f"Costs of labels can't be kept in {path} ({error.strerror}); set XDG_CACHE_HOME."
    return ""


def _best(records: Sequence[CostRecord]) -> dict[Place, CostRecord]:
    """The later records come last."""
    kept: dict[Place, CostRecord] = {}
    for record in records:
        before = kept.get(record.place)
        if before is None or record.labels >= min(before.labels, ENOUGH):
            kept[record.place] = record
    return kept


def _read(path: Path) -> tuple[CostRecord, ...]:
    try:
        return _CostFile.model_validate_json(path.read_bytes()).records
    except (OSError, Invalid):
        return ()
