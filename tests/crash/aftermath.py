"""What must hold after a storm: all settled once, every byte right, every micro accounted for."""

from collections import Counter

import numpy as np
from crash.storage_worker import COLUMN
from crash.storm import Storm
from sqlalchemy import NullPool, create_engine, text

from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.records import Purpose


def check(storm: Storm, calm: Storm) -> int:
    """Finish what the storm left, label the same in `calm` without a kill, compare; the labels."""
    storm.live(120, upto=1)
    with Ledger(storm.url, read_only=True) as ledger:
        frames = len(ledger.jobs(State.DONE))
        assert ledger.verify(storm.folder / "frames.zarr") == []
        assert_nothing_open(ledger)
        assert_spend(ledger, storm)
    assert list((storm.folder / "spool").iterdir()) == []
    calm.live(120, frames, batch=100)
    stormy, quiet = contents(storm), contents(calm)
    assert len(quiet) == frames
    assert stormy == quiet
    return frames


def assert_nothing_open(ledger: Ledger) -> None:
    """Every job that was ever reserved is done, and no money is set aside."""
    assert ledger.open_reservations() == ()
    assert ledger.inbox() == ()
    balance = ledger.balance()
    assert balance.reserved_micro == 0
    assert balance.spent_micro <= balance.cap_micro
    for state in (State.FAILED, State.WAITING, State.RESERVED):
        assert ledger.jobs(state) == ()


def assert_spend(ledger: Ledger, storm: Storm) -> None:
    """Spend is the sum of real attempts, and each acknowledged settlement cost what it said."""
    with create_engine(storm.url, poolclass=NullPool).connect() as connection:
        spent = int(connection.execute(text("SELECT SUM(used_micro) FROM attempt")).scalar_one())
    assert ledger.balance().spent_micro == spent
    charged: Counter[int | None] = Counter()
    for entry in ledger.entries():
        if entry.kind in {"label", "failed"}:
            charged[entry.reservation] += entry.amount_micro
    assert charged.total() == spent
    for reservation, (used, *_) in storm.acknowledged.items():
        assert charged[reservation] == int(used)


def contents(storm: Storm) -> dict[str, tuple[bytes, ...]]:
    """The numbers of every frame, as bytes, by the key of its job; each job has one frame."""
    frames = load_frames(storm.folder / "frames.zarr", tuple(Purpose))
    found = {}
    for row, key in enumerate(frames.key_F):
        atoms = slice(frames.ptr[row], frames.ptr[row + 1])
        numbers = (
            frames.energy_F[row],
            frames.forces_A3[atoms],
            frames.positions_A3[atoms],
            frames.numbers[atoms],
            frames.purpose_F[row],
            frames.charge_F[row],
            frames.cell_F33[row],
            frames.stress_F33[row],
        )
        found[key.tobytes().hex()] = tuple(np.ascontiguousarray(each).tobytes() for each in numbers)
        spread = frames.added_F.get(COLUMN, np.full(len(frames), np.nan))[row]
        assert np.isnan(spread) or np.isclose(spread, frames.positions_A3[atoms].sum())
    assert len(found) == len(frames)
    return found
