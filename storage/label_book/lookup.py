"""Looking up jobs in the label book, inside a transaction that the caller opened."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, select

from forgefield.storage.label_book.matching import Fingerprint, rotation_between
from forgefield.storage.label_book.row_forms import fingerprint_of
from forgefield.storage.label_book.schema import Standing, label
from forgefield.storage.ledger.row_forms import configuration_of
from forgefield.storage.pieces import parts
from forgefield.storage.records import Array, Configuration, Job

_SOUGHT = (
    label.c.id,
    label.c.job,
    label.c.system,
    label.c.bucket,
    label.c.features,
    label.c.molecule,
    label.c.numbers,
    label.c.positions,
    label.c.cell,
    label.c.charge,
    label.c.multiplicity,
    label.c.standing,
    label.c.run,
)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A claim or a label that may answer a job; `id` is 0 for one that isn't stored yet."""

    id: int
    job: str
    run: str
    standing: Standing
    fingerprint: Fingerprint
    configuration: Configuration


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """An entry of the same geometry, and the rotation that turns it into the asked one."""

    entry: Entry
    rotation: Array


@dataclass(slots=True)
class Shelf:
    """Entries by bucket."""

    entries: dict[tuple[str, int], list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def put(self, entry: Entry) -> None:
        """Add one."""
        self.entries[entry.fingerprint.system, entry.fingerprint.bucket].append(entry)

    def match(self, job: Job, fingerprint: Fingerprint) -> Match | None:
        """The entry that answers the job, a label rather than a claim."""
        found = [
            Match(entry, rotation)
            for entry in self._near(fingerprint)
            if (rotation := rotation_between(entry.configuration, job.configuration)) is not None
        ]
        return min(found, key=lambda match: match.entry.standing is not Standing.DONE, default=None)

    def drop(self, entry: Entry) -> None:
        """Take one away."""
        self.entries[entry.fingerprint.system, entry.fingerprint.bucket].remove(entry)

    def _near(self, fingerprint: Fingerprint) -> Iterable[Entry]:
        for bucket in fingerprint.buckets:
            for entry in self.entries.get((fingerprint.system, bucket), ()):
                if fingerprint.is_near(entry.fingerprint):
                    yield entry


def shelf_for(connection: Connection, wanted: Sequence[Fingerprint]) -> Shelf:
    """All entries in the buckets of these fingerprints, withdrawn ones left out."""
    shelf = Shelf()
    buckets: defaultdict[str, set[int]] = defaultdict(set)
    for fingerprint in wanted:
        buckets[fingerprint.system].update(fingerprint.buckets)
    for system, numbers in buckets.items():
        for part in parts(sorted(numbers)):
            query = select(*_SOUGHT).where(
                label.c.system == system,
                label.c.bucket.in_(part),
                label.c.standing != Standing.WITHDRAWN.value,
            )
            for row in connection.execute(query.order_by(label.c.id)).mappings():
                shelf.put(_entry(row))
    return shelf


def rows_of(connection: Connection, ids: Sequence[int]) -> dict[int, RowMapping]:
    """Whole entries by id."""
    found = {}
    for part in parts(ids):
        for row in connection.execute(select(label).where(label.c.id.in_(part))).mappings():
            found[int(row["id"])] = row
    return found


def _entry(row: RowMapping) -> Entry:
    return Entry(
        row["id"],
        row["job"],
        row["run"],
        Standing(row["standing"]),
        fingerprint_of(row),
        configuration_of(row),
    )
