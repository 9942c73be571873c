"""One method at a time: energies of several have other zeros, and don't go together unasked."""

from collections.abc import Iterable, Sequence

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Method


def chosen_method(wanted: Method | str, there: Sequence[Method]) -> list[int]:
    """Places among `there` of a method, or of its name; raises `InputError` where it isn't."""
    name = wanted.name if isinstance(wanted, Method) else wanted
    places = [
        place
        for place, method in enumerate(there)
        if method == wanted or (isinstance(wanted, str) and method.name.lower() == name.lower())
    ]
    if not places:
        raise InputError(f"No frames by {name!r} here. Choose from {_listed(there)}.")
    return places


def refuse_several(method_F: Integers, methods: Sequence[Method], remedy: str) -> None:
    """Raise `InputError` where the frames are by several methods; `remedy` says what to do."""
    there = [methods[place] for place in np.unique(method_F)]
    if len(there) > 1:
        raise InputError(
            f"These frames are by {len(there)} methods ({_listed(there)}), whose energies don't go "
            f"together. {remedy}, or say several_methods=True and mind the method of each frame."
        )


def _listed(methods: Iterable[Method]) -> str:
    return ", ".join(repr(method.name) for method in methods)
