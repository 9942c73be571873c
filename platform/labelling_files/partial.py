"""The folder `OUT.partial` beside a file of labels that is being made.

`request.json` says what for, by hashes; `labels/` holds one spool file a batch, written by the
worker that computed it, whole or absent, under a number that no other batch ever had. So a kill
at any instant, of driver, worker or machine, costs the labels that were in flight and nothing
else, and no file is ever written to twice. `OUT` itself appears at the end, whole; the folder goes
once `OUT` holds a label of every frame.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.run_folder import write_atomically
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.ledger.spool import read_spools
from forgefield.storage.records import Failure, Job, Outcome

FORMAT = 1
_KEY = re.compile(rb" job=([0-9a-f]{32})(?= |\n)")


class FileIdentity(Document):
    """What the labels of a folder are for; `frames_hash` is over all frames in order."""

    format: int = FORMAT
    file: str
    frames: int
    frames_hash: str
    method: str


def identity_of(file: Path, jobs: Sequence[Job]) -> FileIdentity:
    """The identity of a file's frames and the method that labels them."""
    digest = hashlib.blake2b(digest_size=16)
    for job in jobs:
        digest.update(job.configuration.key().encode())
    return FileIdentity(
        file=file.name,
        frames=len(jobs),
        frames_hash=digest.hexdigest(),
        method=jobs[0].method.name,
    )


@dataclass(frozen=True, slots=True)
class PartialFolder:
    """The folder beside `out`."""

    out: Path

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.out.with_name(self.out.name + ".partial")

    @property
    def labels(self) -> Path:
        """Spool files of finished batches."""
        return self.root / "labels"

    @property
    def request(self) -> Path:
        """What the folder is for."""
        return self.root / "request.json"

    def create(self) -> None:
        """Make the folder; raises `InputError` where that is not allowed."""
        try:
            self.labels.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"Can't make {self.root}: {error.strerror}. Choose another place with -o."
            ) from error

    def claim(self, wanted: FileIdentity) -> None:
        """Mark the folder as `wanted`'s; raises `InputError` if it is for something else."""
        self.refuse_another(wanted)
        if not self.request.exists():
            write_atomically(self.request, wanted.model_dump_json(indent=1))

    def refuse_another(self, wanted: FileIdentity) -> None:
        """Raise `InputError`, saying what differs, if the folder was begun for something else."""
        if not self.request.exists():
            return
        try:
            begun = FileIdentity.model_validate_json(self.request.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise InputError(f"{self.request} is damaged; move {self.root} away.") from error
        changes = []
        if begun.method != wanted.method:
            changes.append(f"for {begun.method}, not {wanted.method}")
        if (begun.frames, begun.frames_hash) != (wanted.frames, wanted.frames_hash):
            changes.append(
                f"with other frames ({begun.frames} of {begun.file}, now {wanted.frames} of "
                f"{wanted.file})"
            )
        if changes:
            raise InputError(
                f"{self.root} was begun {' and '.join(changes)}. Write to another file with -o, or "
                "remove the folder to start afresh."
            )

    def results(self) -> dict[str, Outcome]:
        """What is known of each job, by key: its first label, or else its last failure."""
        known: dict[str, Outcome] = {}
        for spool in read_spools(self.labels):
            for outcome in spool.outcomes:
                key = outcome.job.key()
                if key not in known or isinstance(known[key].result, Failure):
                    known[key] = outcome
        return known

    def remove(self) -> None:
        """Forget everything; only ever called when `out` is complete, which is asked first."""
        shutil.rmtree(self.root, ignore_errors=True)


def is_complete(out: Path, keys: Iterable[str]) -> bool:
    """Whether `out` holds the labels of these jobs, in this order and nothing else."""
    if not out.exists():
        return False
    return found_keys(out) == list(keys)


def found_keys(out: Path) -> list[str]:
    """Keys of the jobs whose labels `out` holds, in its order."""
    with out.open("rb") as file:
        return [found[1].decode() for line in file if (found := _KEY.search(line))]
