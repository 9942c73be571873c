"""Bringing a book into line with what a run's ledger and frame store say, when a run is opened.

Claims that an earlier driver left are given up, labels that it settled but could not publish are
published, labels that the run has withdrawn since are struck. Each step may be done again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.label_book.book import LabelBook
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Provenance,
    Purpose,
)
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.units import from_micro, to_micro


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Claims given up, labels published late, labels struck."""

    released: int
    published: int
    struck: int


def reconcile(book: LabelBook, ledger: Ledger, store: Path) -> Reconciled:
    """See the module; the caller drives the run, so nothing of it is in flight."""
    published = book.publish(ledger.inbox())
    published += book.publish(_unpublished(book, store))
    released = book.release()
    return Reconciled(released, published, book.strike(_withdrawn(book, ledger)))


def _withdrawn(book: LabelBook, ledger: Ledger) -> list[str]:
    """Keys of labels in the book that this ledger knows and doesn't call done any more."""
    used = book.used_keys()
    states = ledger.job_states(used) if used else {}
    return [key for key, known in states.items() if known.state is not State.DONE]


def _unpublished(book: LabelBook, store: Path) -> list[StoredFrame]:
    try:
        frames = load_frames(store, tuple(Purpose))
    except StorageError:
        if store.exists():
            raise
        return []
    dear = frames.select(frames.cost_F >= from_micro(book.least_micro))
    keys = hex_keys(dear.key_F)
    known = book.known_keys(keys)
    return [stored_frame(dear, at) for at, key in enumerate(keys) if key not in known]


def stored_frame(frames: Frames, at: int) -> StoredFrame:
    """One frame of a store as it was settled."""
    atoms, forces_A3 = frames.atoms_of(at), frames.forces_A3[frames.atoms_of(at)]
    shape = Configuration(
        frames.molecules[frames.molecule_F[at]],
        tuple(frames.numbers[atoms].tolist()),
        frames.positions_A3[atoms],
        int(frames.charge_F[at]),
        int(frames.multiplicity_F[at]),
        _present(frames.cell_F33[at]),
    )
    method, purpose = frames.methods[frames.method_F[at]], Purpose(int(frames.purpose_F[at]))
    label = Label(
        float(frames.energy_F[at]),
        _present(forces_A3),
        _provenance(frames, at),
        _present(frames.stress_F33[at]),
    )
    cost_micro = to_micro(float(frames.cost_F[at]))
    return StoredFrame(int(frames.seq_F[at]), Job(shape, method, purpose), label, cost_micro)


def _provenance(frames: Frames, at: int) -> Provenance:
    origins = frames.provenance
    program = origins.programs[origins.program_F[at]]
    diagnostics = {
        name: float(values[at])
        for name, values in origins.diagnostics.items()
        if not np.isnan(values[at])
    }
    return Provenance(
        program.name,
        program.version,
        origins.hosts[origins.host_F[at]],
        int(origins.threads_F[at]),
        float(origins.wall_F[at]),
        float(origins.cpu_F[at]),
        diagnostics,
    )


def _present(values: Array) -> Array | None:
    return None if np.isnan(values).all() else values
