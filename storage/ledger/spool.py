"""Spool: what a worker knows that the ledger doesn't know yet, in files beside the run.

A worker writes the outcomes of a reservation here before it hands them over, and while it works
a heartbeat of what it has used. A driver that was killed finds both: finished work is adopted,
unfinished work is charged for what the last heartbeat shows. JSON with a checksum, no pickle;
each file is whole or absent.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.records import (
    Array,
    Configuration,
    Failure,
    Job,
    Label,
    Method,
    Outcome,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.units import to_micro

SPOOL, BEAT, DAMAGED = ".spool.json", ".beat", ".damaged"


@dataclass(frozen=True, slots=True, eq=False)
class Spool:
    """The outcomes of a reservation and what they used."""

    reservation: int
    outcomes: tuple[Outcome, ...]
    used_micro: int


def write_spool(
    folder: Path | str, reservation: int, outcomes: Sequence[Outcome], used_micro: int
) -> None:
    """Keep outcomes durably until `remove_spool`; whole or not at all."""
    body = json.dumps(
        {
            "reservation": reservation,
            "used_micro": used_micro,
            "outcomes": [_outcome_form(outcome) for outcome in outcomes],
        }
    )
    Path(folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps({"checksum": _checksum(body), "body": body})
    replace_file(Path(folder) / f"{reservation}{SPOOL}", [text.encode()])


def read_spools(folder: Path | str) -> tuple[Spool, ...]:
    """All spooled results, by reservation; a damaged file is renamed to `….damaged`."""
    found = [_read(path) for path in Path(folder).glob(f"*{SPOOL}")]
    return tuple(sorted((s for s in found if s is not None), key=lambda s: s.reservation))


def read_spool(folder: Path | str, reservation: int) -> Spool | None:
    """The spooled outcomes of one reservation, `None` where there are none."""
    return _read(Path(folder) / f"{reservation}{SPOOL}")


def remove_spool(folder: Path | str, reservation: int) -> None:
    """Forget the spooled outcomes and the heartbeat of a settled reservation."""
    for suffix in (SPOOL, BEAT):
        (Path(folder) / f"{reservation}{suffix}").unlink(missing_ok=True)


def remove_beat(folder: Path | str, reservation: int) -> None:
    """Forget the heartbeat of a reservation that is closed."""
    (Path(folder) / f"{reservation}{BEAT}").unlink(missing_ok=True)


def set_aside(folder: Path | str, reservation: int) -> None:
    """Rename spooled outcomes that can't be booked to `….damaged`, for people to look at."""
    _set_aside(Path(folder) / f"{reservation}{SPOOL}")


def count_set_aside(folder: Path | str) -> int:
    """How many spooled results were set aside so far."""
    return len(list(Path(folder).glob(f"*{SPOOL}{DAMAGED}")))


def last_beat(folder: Path | str, reservation: int) -> int:
    """Micro core-seconds that the last heartbeat shows; 0 where there was none."""
    try:
        return max(0, int((Path(folder) / f"{reservation}{BEAT}").read_text(encoding="ascii")))
    except (FileNotFoundError, ValueError):
        return 0


class Heartbeat:
    """While it is open, a thread writes what a reservation has used: elapsed time × `cores`.

    A beat that can't be written is skipped: no label is stopped by its heartbeat.
    """

    def __init__(
        self, folder: Path | str, reservation: int, cores: float = 1.0, every_s: float = 1.0
    ) -> None:
        self._path = Path(folder) / f"{reservation}{BEAT}"
        self._cores = cores
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._started = 0.0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._beat()

    def used_micro(self) -> int:
        """Micro core-seconds since it was opened."""
        return to_micro((time.monotonic() - self._started) * self._cores)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._beat()

    def _beat(self) -> None:
        waiting = self._path.with_suffix(".beat-partial")
        with suppress(OSError):
            waiting.write_text(str(self.used_micro()), encoding="ascii")
            waiting.replace(self._path)


def _read(path: Path) -> Spool | None:
    try:
        wrapped = json.loads(path.read_bytes())
        body = wrapped["body"]
        form = json.loads(body if wrapped["checksum"] == _checksum(body) else "")
        outcomes = tuple(_outcome_of(each) for each in form["outcomes"])
        return Spool(form["reservation"], outcomes, form["used_micro"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        _set_aside(path)
        return None


def _set_aside(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.replace(path.with_name(path.name + DAMAGED))


def _checksum(body: str) -> str:
    return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()


def _outcome_form(outcome: Outcome) -> dict[str, Any]:
    shape = outcome.job.configuration
    form: dict[str, Any] = {
        "molecule": shape.molecule,
        "numbers": list(map(int, shape.numbers)),
        "positions": _text(shape.positions_A3),
        "cell": _optional_text(shape.cell_33),
        "charge": shape.charge,
        "multiplicity": shape.multiplicity,
        "tier": outcome.job.method.tier.value,
        "method": outcome.job.method.name,
        "purpose": int(outcome.job.purpose),
    }
    if isinstance(outcome.result, Failure):
        return form | {"failure": asdict(outcome.result)}
    label = outcome.result
    origin = label.provenance
    provenance = asdict(origin) | {
        "diagnostics": {n: float(v) for n, v in origin.diagnostics.items()}
    }
    return form | {
        "energy": float(label.energy),
        "forces": _optional_text(label.forces_A3),
        "stress": _optional_text(label.stress_33),
        "provenance": provenance,
    }


def _outcome_of(form: dict[str, Any]) -> Outcome:
    configuration = Configuration(
        form["molecule"],
        tuple(form["numbers"]),
        _array(form["positions"]),
        form["charge"],
        form["multiplicity"],
        _optional_array(form.get("cell")),
    )
    method = Method(Tier(form["tier"]), form["method"])
    job = Job(configuration, method, Purpose(form["purpose"]))
    if "failure" in form:
        return Outcome(job, Failure(**form["failure"]))
    forces, stress = _optional_array(form["forces"]), _optional_array(form.get("stress"))
    return Outcome(job, Label(form["energy"], forces, Provenance(**form["provenance"]), stress))


def _optional_text(values: Array | None) -> str | None:
    return None if values is None else _text(values)


def _optional_array(text: str | None) -> Array | None:
    return None if text is None else _array(text)


def _text(values: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def _array(text: str) -> Array:
    return np.frombuffer(base64.b64decode(text), dtype="<f8").reshape(-1, 3).astype(np.float64)
