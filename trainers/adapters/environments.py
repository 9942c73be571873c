"""Programs that run in a Python environment of their own, by the interpreter the user names.

Never broken: arguments are lists, no shell sees them; the interpreter is isolated (`-I`), so that
it finds neither our packages nor files that lie about; the child is killed when we are interrupted
or fail (but not when we are killed outright); all that it says lies in a log beside its files, and
the end of it in the error.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgefield.storage.errors import InputError, MissingProgram

Watch = Callable[[str], None]
LAST_LINES = 12
_FIND = "import sys; from importlib.util import find_spec; sys.exit(not find_spec(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Program:
    """What has to be importable, and how an environment that has it is made."""

    name: str
    module: str
    packages: tuple[str, ...]

    def how_to_get(self) -> str:
        """Two commands."""
        wanted = " ".join(self.packages)
        return f"python -m venv other && other/bin/pip install {wanted}, then name other/bin/python"


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter, `python`, that can import `program`."""

    python: Path
    program: Program

    def check(self) -> None:
        """Raise `MissingProgram` where the interpreter or the package isn't there."""
        try:
            done = subprocess.run(  # noqa: S603
                [self._interpreter(), "-I", "-c", _FIND, self.program.module],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise MissingProgram(
                f"{self.python} is no Python interpreter ({error.strerror}). {self.program.name} "
                f"needs one of its own: {self.program.how_to_get()}"
            ) from error
        if done.returncode:
            raise MissingProgram(
                f"{self.python} doesn't have the package {self.program.module}: "
                f"{self.program.name} needs an environment of its own: {self.program.how_to_get()}"
            )

    def run(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        log: str,
        watch: Watch | None = None,
    ) -> None:
        """Run `python arguments…` in `folder`; every line goes to `folder/log` and to `watch`.

        Raises `InputError` with the last lines where the program fails.
        """
        self.check()
        command = [self._interpreter(), "-I", "-u", *map(str, arguments)]
        said: list[str] = []
        with (
            (folder / log).open("a", encoding="utf-8") as file,
            subprocess.Popen(  # noqa: S603
                command,
                cwd=folder,
                text=True,
                errors="replace",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as child,
        ):
            try:
                for line in child.stdout or ():
                    file.write(line)
                    said = [*said[1 - LAST_LINES :], line.rstrip()]
                    if watch is not None:
                        watch(line.rstrip())
            except BaseException:
                child.kill()
                raise
        if child.returncode:
            raise InputError(
                f"{self.program.name} stopped with exit code {child.returncode}; all it said is in "
                f"{folder / log}. The end of it:\n" + "\n".join(said)
            )

    def _interpreter(self) -> str:
        """Its absolute path; the link of an environment isn't followed, or it would be left."""
        return str(self.python.absolute())
