"""Virtual environments of their own for packages that can't live in ours; slow tests alone use it.

One environment per list of packages and test session; the test is skipped where the package
index can't be reached.
"""

import subprocess
import sys
from pathlib import Path

import pytest

_MADE: dict[tuple[Path, tuple[str, ...]], Path] = {}


def python_with(packages: tuple[str, ...], factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which pip installed `packages`."""
    key = (factory.getbasetemp(), packages)
    if key not in _MADE:
        _MADE[key] = _make(packages, factory.mktemp("environment"))
    return _MADE[key]


def _make(packages: tuple[str, ...], home: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", home], check=True)  # noqa: S603
    installed = subprocess.run(  # noqa: S603
        [home / "bin" / "pip", "install", "--quiet", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"{packages[0]} can't be installed here: {installed.stderr.strip()[-300:]}")
    return home / "bin" / "python"
