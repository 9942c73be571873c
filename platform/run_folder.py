"""Where a run keeps its things: one folder, whose layout is this module.

`ledger.sqlite` and `frames.zarr` are the valuable part; everything else can be made again
from them and `plan.json`. A ledger that lies elsewhere is named in `ledger.json`, without password.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgefield.platform.run_timeline import append_event, read_events
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.ledger import addresses


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run; `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> "RunFolder":
        """The folder at `path`, made absolute; nothing is created."""
        return cls(Path(path).expanduser().resolve())

    @classmethod
    def existing(cls, path: str | Path) -> "RunFolder":
        """An existing run; raises `InputError` if `path` holds none."""
        folder = cls.at(path)
        if folder.has_ledger:
            return folder
        if folder.request.exists():
            raise InputError(
                f"The run in {path} has bought nothing yet: its configurations are being sampled, "
                "or it was stopped before. Look again once it labels, or go on with "
                f"`platform run {path}`."
            )
        raise InputError(
            f"{path} is not a run folder (it has no {folder.ledger.name}). "
            "Name the folder that `platform run` printed, such as runs/ethanol-20ccsd, or one "
            "that `platform import` made."
        )

    @classmethod
    def campaign(cls, path: str | Path) -> "RunFolder":
        """An existing run that was planned here; raises `InputError` for a data set too."""
        folder = cls.existing(path)
        if not folder.request.exists():
            raise InputError(
                f"{path} is a data set, not a run: it has frames but no plan. `platform ledger`, "
                "`split`, `export` and `import` work on it."
            )
        return folder

    def create(self) -> None:
        """Make the folders; raises `InputError` where that is not allowed."""
        try:
            for folder in (self.root, self.spool, self.training):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"Can't make the run folder {self.root}: {error.strerror}. "
                "Choose another with --workdir."
            ) from error

    @property
    def request(self) -> Path:
        """What this folder is for: written before anything else, never changed."""
        return self.root / "request.json"

    @property
    def plan(self) -> Path:
        """The plan this run executes, with the settings of its last start."""
        return self.root / "plan.json"

    @property
    def ledger(self) -> Path:
        """The cost ledger, the commit point, unless it lies elsewhere."""
        return self.root / "ledger.sqlite"

    @property
    def ledger_elsewhere(self) -> Path:
        """Where the ledger lies if not here, as JSON; `forgefield.platform.ledger_place`."""
        return self.root / "ledger.json"

    @property
    def has_ledger(self) -> bool:
        """Whether a ledger was begun, here or elsewhere."""
        return self.ledger_elsewhere.exists() or self.ledger.exists()

    @property
    def ledger_url(self) -> str:
        """Database URL of the ledger, without password."""
        if not self.ledger_elsewhere.exists():
            return addresses.sqlite_url(self.ledger)
        try:
            return str(json.loads(self.ledger_elsewhere.read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.ledger_elsewhere} doesn't say where the ledger is ({error}). Put it back "
                'as {"url": "postgresql://…?schema=…"}.'
            ) from error

    @property
    def frames(self) -> Path:
        """The frame store."""
        return self.root / "frames.zarr"

    @property
    def pool(self) -> Path:
        """Sampled configurations, in their shuffled order."""
        return self.root / "configurations.npz"

    @property
    def spool(self) -> Path:
        """Results on their way to the ledger, and heartbeats of labels in flight."""
        return self.root / "spool"

    @property
    def training(self) -> Path:
        """One folder a training stage."""
        return self.root / "training"

    @property
    def rounds(self) -> Path:
        """One folder a round, where the campaign goes in rounds."""
        return self.root / "rounds"

    @property
    def outcome(self) -> Path:
        """What training left, as JSON."""
        return self.training / "outcome.json"

    @property
    def force_field(self) -> Path:
        """The result."""
        return self.root / "force_field"

    @property
    def baseline(self) -> Path:
        """The standard training on the accurate frames alone."""
        return self.root / "baseline"

    @property
    def evaluation(self) -> Path:
        """Errors on the hold-out."""
        return self.root / "evaluation.json"

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.root / "report.html"

    @property
    def timeline(self) -> Path:
        """What happened when: one JSON object a line."""
        return self.root / "timeline.jsonl"

    def note(self, event: str, **facts: object) -> None:
        """Append an event to the timeline."""
        append_event(self.timeline, {"event": event, **facts})

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note the beginning of a step, and its end with the wall time where it succeeds."""
        start = time.time()
        self.note(f"{step} began")
        yield
        self.note(f"{step} ended", wall_s=round(time.time() - start, 2))

    def events(self) -> list[dict[str, Any]]:
        """The timeline so far; lines that a crash or a full disk tore are left out."""
        return read_events(self.timeline)


def default_folder(molecule: str, budget: str) -> Path:
    """Where a run goes that nobody named a folder for: `runs/methanol-20ccsd`."""
    plain = re.sub(r"[^A-Za-z0-9.+ -]+", "_", molecule)[:60].replace(" ", "-")
    if plain.replace("-", " ") != molecule.replace("-", " "):
        plain += "-" + hashlib.blake2b(molecule.encode(), digest_size=4).hexdigest()
    return Path("runs") / f"{plain}-{budget.replace('$', 'usd')}"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a crash leaves the old file or the new one.

    Raises `InputError` where that is not allowed.
    """
    try:
        replace_file(path, [text.encode()])
    except OSError as error:
        raise InputError(f"Can't write {path}: {error.strerror}. Choose another place.") from error
