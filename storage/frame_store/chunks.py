"""Chunk files of a local store: encoded, decoded and checked without a detour through Zarr.

The bytes are plain Zarr v3 (`bytes` little endian, `zstd`, `crc32c`), as any reader decodes them.
Why by hand: a commit writes some twenty small chunks, and Zarr's machinery took more time than the
compression and the disk together; and a missing chunk, which Zarr reads as fill values in silence,
is an error here where the writer stores every chunk. The shards of a release are only read.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from numcodecs import zstd
from numpy.typing import NDArray
from zarr.core.metadata.v3 import ArrayV3Metadata

from forgefield.storage.frame_store.array_layout import chunk_rows, sharding

ZSTD_LEVEL = 1
CHECKSUM_BYTES = 4
NOT_THERE = 2**64 - 1


class DamagedChunk(Exception):
    """A chunk that is missing or whose bytes are wrong: `chunk` its number, `reason` in words."""

    def __init__(self, chunk: int, reason: str) -> None:
        super().__init__(reason)
        self.chunk = chunk
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ChunkedArray:
    """An array of a store, cut into chunks of `rows` along its first axis.

    `shard` chunks share a file, if it isn't 0; in a `whole` array every chunk is stored.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    rows: int
    dtype: np.dtype[Any]
    fill: Any
    axis: str
    whole: bool = True
    shard: int = 0

    @classmethod
    def of(
        cls, root: Path, name: str, metadata: ArrayV3Metadata, *, whole: bool = True
    ) -> "ChunkedArray":
        """The array `name` of the store at `root`."""
        file_rows, inner_rows = chunk_rows(metadata), sharding(metadata).get("chunk_shape", [0])[0]
        return cls(
            root / name,
            name,
            metadata.shape,
            inner_rows or file_rows,
            np.dtype(metadata.data_type.to_native_dtype()),
            metadata.fill_value,
            (metadata.dimension_names or ("frame",))[0] or "frame",
            whole,
            file_rows // inner_rows if inner_rows else 0,
        )

    @property
    def chunks(self) -> range:
        """Numbers of the chunks that its length needs."""
        return range(-(-self.shape[0] // self.rows))

    def key(self, chunk: int) -> str:
        """Where a chunk lies, seen from the root of the store."""
        return f"{self.name}/{self._place(chunk)}"

    def path(self, chunk: int) -> Path:
        """The chunk's file."""
        return self.folder / self._place(chunk)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk, and the one behind its last."""
        return chunk * self.rows, min((chunk + 1) * self.rows, self.shape[0])

    def decode(self, chunk: int, into: NDArray[Any] | None = None) -> NDArray[Any]:
        """All rows of a chunk, put where `into` says; raises `DamagedChunk`."""
        block = self._empty(self.rows) if into is None else into
        content = self._content(chunk)
        if content is None:
            if self.whole:
                raise DamagedChunk(chunk, "is missing")
            block[...] = self.fill
            return block
        body, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
        if _checksum(body) != checksum:
            raise DamagedChunk(chunk, "is damaged: its checksum is wrong")
        try:
            zstd.decompress(body, block)
        except (RuntimeError, ValueError) as error:
            raise DamagedChunk(chunk, f"is damaged: {error}") from error
        return block

    def encode(self, chunk: int, first: int, values: NDArray[Any]) -> bytes:
        """A chunk's content after `values` were put at row `first` and behind it.

        Rows before `first` come from the chunk's file, rows behind the values are fill.
        """
        start, stop = chunk * self.rows, (chunk + 1) * self.rows
        block = np.full((self.rows, *self.shape[1:]), self.fill, dtype=self.dtype)
        if start < first:
            block[: first - start] = self.decode(chunk)[: first - start]
        new = values[max(start - first, 0) : stop - first]
        place = max(first - start, 0)
        block[place : place + len(new)] = new
        body: bytes = zstd.compress(block, ZSTD_LEVEL)
        return body + _checksum(body)

    def touched(self, first: int, last: int) -> Iterator[int]:
        """Numbers of the chunks that hold rows from `first` up to before `last`."""
        yield from range(first // self.rows, -(-last // self.rows))

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Rows from `first` up to before `last`; raises `DamagedChunk`."""
        rows = self._empty(max(last - first, 0))
        for chunk in self.touched(first, last) if last > first else ():
            self.read_chunk(chunk, first, rows)
        return rows

    def read_chunk(self, chunk: int, first: int, rows: NDArray[Any]) -> None:
        """Put a chunk's part into `rows`, the array's rows from `first` on."""
        start, stop = max(chunk * self.rows, first), min((chunk + 1) * self.rows, first + len(rows))
        place = rows[start - first : stop - first]
        if len(place) == self.rows:
            self.decode(chunk, place)
        else:
            place[:] = self.decode(chunk)[start - chunk * self.rows :][: len(place)]

    def empty(self) -> NDArray[Any]:
        """Room for all its rows."""
        return self._empty(self.shape[0])

    def _content(self, chunk: int) -> bytes | None:
        """A chunk's bytes, `None` where it isn't stored; raises `DamagedChunk`."""
        try:
            if not self.shard:
                return self.path(chunk).read_bytes()
            with self.path(chunk).open("rb") as file:
                return self._content_in(file, chunk)
        except FileNotFoundError:
            return None

    def _content_in(self, shard: BinaryIO, chunk: int) -> bytes | None:
        length = 16 * self.shard + CHECKSUM_BYTES
        shard.seek(0, os.SEEK_END)
        if shard.tell() >= length:
            shard.seek(-length, os.SEEK_END)
        index = shard.read()
        if len(index) != length or _checksum(index[:-CHECKSUM_BYTES]) != index[-CHECKSUM_BYTES:]:
            raise DamagedChunk(chunk, "is damaged: the index of its shard is wrong")
        places = np.frombuffer(index[:-CHECKSUM_BYTES], "<u8").reshape(-1, 2)
        place, size = places[chunk % self.shard].tolist()
        if place == NOT_THERE:
            return None
        shard.seek(place)
        return shard.read(size)

    def _empty(self, rows: int) -> NDArray[Any]:
        return np.empty((rows, *self.shape[1:]), dtype=self.dtype)

    def _place(self, chunk: int) -> str:
        file = chunk // self.shard if self.shard else chunk
        return "/".join(["c", str(file), *["0"] * (len(self.shape) - 1)])


def _checksum(body: bytes) -> bytes:
    return int(google_crc32c.value(body)).to_bytes(CHECKSUM_BYTES, "little")
