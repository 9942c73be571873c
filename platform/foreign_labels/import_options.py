"""Errors of reading files that name an option which `platform import` has and no benchmark."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from forgefield.storage.errors import InputError

ABSENT = re.compile(r"--(?:format|length-unit|force-unit|charge|multiplicity)\b")


@contextmanager
def options_of_import_named() -> Iterator[None]:
    """Say of such options whose they are, and how to get a file that needs none."""
    try:
        yield
    except InputError as error:
        absent = list(dict.fromkeys(ABSENT.findall(str(error))))
        if not absent:
            raise
        these = " and ".join(absent)
        raise InputError(
            f"{error} A benchmark has no {these}: give that to `platform import`, and the "
            "benchmark the file that `platform export` writes."
        ) from error
