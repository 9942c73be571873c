"""Parts of a network that a fit leaves as they are, by the names of their parameters."""

from collections.abc import Iterator
from contextlib import contextmanager

from forgefield.storage.errors import InputError
from forgefield.trainers.models.potential import Potential


@contextmanager
def frozen(network: Potential, prefixes: tuple[str, ...]) -> Iterator[None]:
    """Leave parameters whose names start with any of `prefixes` as they are."""
    named = dict(network.named_parameters())
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in named):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in named))
            raise InputError(f"no parameter to freeze starts with {prefix!r}; parts are: {parts}")
    held = [value for name, value in named.items() if name.startswith(prefixes)]
    if len(held) == len(named):
        raise InputError(f"{', '.join(prefixes)} would freeze all there is; leave some to train")
    for value in held:
        value.requires_grad = False
    try:
        yield
    finally:
        for value in held:
            value.requires_grad = True
