"""Options that the benchmarks share, with their help, and lists of numbers in them."""

import math
from pathlib import Path
from typing import Annotated

import typer

from forgefield.storage.errors import InputError

Model = Annotated[str, typer.Option(help="nequip, egnn, gemnet, painn or schnet.")]
Seeds = Annotated[int, typer.Option(min=1, help="Of weights, batches and cheap frames: 0, 1, …")]
Effort = Annotated[
    str, typer.Option(help="Multiplies the steps of all trainings; 0.1,1 does both.")
]
Test = Annotated[
    Path | None, typer.Option(help="Accurate labels to test on. [default: all others of the file]")
]
TestFrames = Annotated[int | None, typer.Option(min=1, help="Test on the first so many frames.")]
Validation = Annotated[
    int | None, typer.Option(min=1, help="Accurate frames to choose by. [default: the last 5 %]")
]
CurveTest = Annotated[
    Path | None, typer.Option(help="Accurate labels to test on. [default: from the file itself]")
]
CurveTestFrames = Annotated[int, typer.Option(min=1, help="Accurate frames to test on.")]
CurveValidation = Annotated[int, typer.Option(min=1, help="Accurate frames to choose by.")]
Redraw = Annotated[
    bool, typer.Option("--redraw", help="Every seed draws accurate frames of its own too.")
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit", "--energy-unit", help="Of all files: kcal/mol, eV, … [default: theirs, kcal/mol]"
    ),
]
CheapUnit = Annotated[
    str | None,
    typer.Option("--dft-unit", "--low-unit", help="Of the cheap file. [default: --unit's]"),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Don't doubt units, signs, and that molecules are the same.")
]
Recipe = Annotated[
    Path | None,
    typer.Option(help="TOML that changes the preset: [model], [standard], [pretrain], [finetune]."),
]
Parallel = Annotated[
    int | None, typer.Option(min=1, help="Stages at a time. [default: one a GPU, or a core]")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for everything. [default: benchmarks/…]"),
]


def numbers_in(text: str, option: str) -> tuple[float, ...]:
    """`0.1,1` as numbers above 0, each once; `InputError` names the option."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} are no numbers; write {option} 1,2 with commas.") from None
    if not all(0 < number < math.inf for number in found):
        raise InputError(f"{option} {text}: all must be above 0, and finite.")
    return tuple(dict.fromkeys(found))


def whole_numbers_in(text: str, option: str) -> tuple[int, ...]:
    """The same for whole numbers, in their order."""
    found = numbers_in(text, option)
    if not all(number.is_integer() for number in found):
        raise InputError(f"{option} {text}: all must be whole numbers.")
    return tuple(sorted(int(number) for number in found))
