"""Errors of reading files that name an option which `platform import` has and no benchmark."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from forgefield.storage.errors import InputError

ABSENT = re.compile(r"--(?:format|length-unit|force-unit|charge|multiplicity)\b")


@contextmanager
def options_of_import_named(unit_option: str) -> Iterator[None]:
    """Say of such options whose they are, and how to get a file that needs none.

    What `platform import` calls --energy-unit, and a benchmark --unit, is `unit_option` here.
    """
    try:
        yield
    except InputError as error:
        said = str(error).replace("--energy-unit", "--unit").replace("--unit", unit_option)
        error.args = (said,)
        absent = list(dict.fromkeys(ABSENT.findall(str(error))))
        if not absent:
            raise
        these = " and ".join(absent)
        raise InputError(
            f"{error} A benchmark has no {these}: give that to `platform import`, and the "
            "benchmark the file that `platform export` writes."
        ) from error
