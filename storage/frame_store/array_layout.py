"""How an array of a store is cut into files, by its metadata."""

from typing import Any

from zarr.core.metadata.v3 import ArrayV3Metadata

PLAIN_CODECS = ["bytes", "zstd", "crc32c"]


def chunk_rows(metadata: ArrayV3Metadata) -> int:
    """Rows of one chunk file."""
    return int(metadata.chunk_grid.chunk_shape[0])  # type: ignore[attr-defined]


def is_sharded(metadata: ArrayV3Metadata) -> bool:
    """Whether several chunks share a file, as in a release."""
    return bool(sharding(metadata))


def is_plain(metadata: ArrayV3Metadata) -> bool:
    """Whether the array is stored as this module reads it."""
    shards = sharding(metadata)
    codecs = shards["codecs"] if shards else [codec.to_dict() for codec in metadata.codecs]
    wide = metadata.chunk_grid.chunk_shape[1:] == metadata.shape[1:]  # type: ignore[attr-defined]
    inner = tuple(shards["chunk_shape"][1:]) if shards else metadata.shape[1:]
    behind = shards.get("index_location", "end") == "end"
    names = [codec["name"] for codec in codecs]
    return bool(names == PLAIN_CODECS and wide and inner == metadata.shape[1:] and behind)


def sharding(metadata: ArrayV3Metadata) -> dict[str, Any]:
    """The configuration of an array's shards, empty where it has none."""
    outer: dict[str, Any] = dict(metadata.codecs[0].to_dict())
    return dict(outer["configuration"]) if outer["name"] == "sharding_indexed" else {}
