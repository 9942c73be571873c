"""Sampled configurations that runs of one molecule share, so that they label the same ones.

A pool only grows: a run that needs more takes what is there and adds a part at its end. Labels
are then found, because a larger run's configurations begin with those of a smaller one.

Legend of shapes: `F` frames, `A` atoms. Å, K.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from sqlalchemy import Connection, RowMapping, func, insert, select

from forgefield.storage.label_book.opening import open_book, take_turn
from forgefield.storage.label_book.schema import pool
from forgefield.storage.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class PoolPart:
    """Configurations `positions_FA3` and the temperatures (F,) they were sampled at."""

    positions_FA3: Array
    temperature_F: Array

    def __len__(self) -> int:
        return len(self.positions_FA3)


class SharedPools:
    """The pools in the label book at a URL or a path; made where there is none."""

    def __init__(self, place: str | Path) -> None:
        self._database = open_book(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def parts(self, identity: str) -> list[PoolPart]:
        """The parts of a pool in their order; none where nobody has sampled it."""
        query = select(pool).where(pool.c.identity == identity).order_by(pool.c.part)
        return self._database.read(
            lambda c: [_part(row) for row in c.execute(query).mappings().all()]
        )

    def add(self, identity: str, known: Sequence[PoolPart], more: PoolPart) -> bool:
        """Put `more` at the end of `known`; False where another run has added to it meanwhile."""
        row = {
            "identity": identity,
            "part": len(known),
            "frames": len(more),
            "positions": np.ascontiguousarray(more.positions_FA3, dtype="<f8").tobytes(),
            "temperatures": np.ascontiguousarray(more.temperature_F, dtype="<f8").tobytes(),
        }

        def append(connection: Connection) -> bool:
            there = select(func.count()).where(pool.c.identity == identity)
            if connection.execute(there).scalar_one() != len(known):
                return False
            connection.execute(insert(pool), row)
            return True

        return take_turn(self._database, append)


def _part(row: RowMapping) -> PoolPart:
    positions = np.frombuffer(row["positions"], dtype="<f8").astype(np.float64)
    temperatures = np.frombuffer(row["temperatures"], dtype="<f8").astype(np.float64)
    return PoolPart(positions.reshape(row["frames"], -1, 3), temperatures)
