"""The root `zarr.json`: the one file whose change commits, and the checksum that it carries.

A flipped bit in it could otherwise shorten the store or rename a method without anybody noticing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c

from forgefield.storage.errors import StorageError

ROOT = "zarr.json"
WHOLE = "every_chunk_is_stored"
CHECKSUM = "crc32c"
Document = dict[str, Any]


def root_content(arrays: Mapping[str, Document], about: Mapping[str, Any]) -> bytes:
    """The file for these arrays' documents and the attributes `about`."""
    document = {
        "attributes": {"forgefield": dict(about)},
        "zarr_format": 3,
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(arrays),
        },
        "node_type": "group",
    }
    document["attributes"] = {"forgefield": dict(about) | {CHECKSUM: _checksum(document)}}
    return json.dumps(document).encode()


def checked_root(path: Path) -> Document:
    """The root document of the local store at `path`.

    Raises `FileNotFoundError` where there is none, `StorageError` where its bytes changed. A root
    that carries no checksum, of an older or another program, is taken as it is.
    """
    try:
        document = json.loads((path / ROOT).read_bytes())
        about = document.get("attributes", {}).get("forgefield", {})
    except (ValueError, AttributeError) as error:
        raise StorageError(f"{path / ROOT} can't be read: {error}. {_REMEDY}") from error
    if CHECKSUM in about and about[CHECKSUM] != _checksum(document):
        raise StorageError(f"{path / ROOT} is damaged: its checksum is wrong. {_REMEDY}")
    return dict(document)


_REMEDY = "Restore this file from a copy."


def _checksum(document: Mapping[str, Any]) -> int:
    about = {k: v for k, v in document["attributes"]["forgefield"].items() if k != CHECKSUM}
    content = [document["consolidated_metadata"], about]
    return int(google_crc32c.value(json.dumps(content, sort_keys=True).encode()))
