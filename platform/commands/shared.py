"""What commands share: options with their help, the consoles, ways to answer."""

import errno
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from forgefield.platform.screen.reporter import Reporter

Result = TypeVar("Result")

screen = Console(highlight=False)
messages = Console(stderr=True, highlight=False)

Charge = Annotated[int | None, typer.Option(help="Total charge, if the structure doesn't say.")]
Multiplicity = Annotated[
    int | None,
    typer.Option(help="Spin multiplicity 2S+1. [default: what the structure says, or the lowest]"),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        "--address",
        help="Join this Ray cluster (auto, or host:port). [default: start Ray here]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def listening(work: "Callable[[Reporter], Result]") -> "Result":
    """Do long work with bars on standard error."""
    from forgefield.platform.interrupts import ctrl_c_kept
    from forgefield.platform.screen.terminal import Terminal

    try:
        with ctrl_c_kept(), Terminal(messages).shown() as reporter:
            return work(reporter)
    except KeyboardInterrupt:
        messages.print("Stopped. The same command goes on from here; nothing paid for is lost.")
        raise


def refuse_unwritable(path: Path, made: Path) -> None:
    """Raise `InputError` where a file can't be put, before anything is paid for it.

    `made` is the folder, absolute, that the command makes where it isn't there yet.
    """
    try:
        folder = path.resolve().parent
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if folder == made:
            folder = next(each for each in [folder, *folder.parents] if each.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"Can't write {path}: {said}. Choose another place.") from error


def print_json(document: "BaseModel") -> None:
    """One JSON document on standard output."""
    sys.stdout.write(document.model_dump_json() + "\n")


def say(facts: dict[str, object], text: str, *, as_json: bool) -> None:
    """Facts as JSON, or the same as a line of text."""
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")
