"""Optional libraries: are they here, and how to get them if not."""

import importlib.util

from forgefield.storage.errors import MissingProgram


def need(module: str, method: str) -> None:
    """Raise `MissingProgram` unless `module` can be imported."""
    if importlib.util.find_spec(module) is None:
        raise MissingProgram(
            f"{method} needs the Python package {module}, which is not installed; "
            "run: pip install 'forgefield[labels]'"
        )
