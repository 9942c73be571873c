"""Options that the benchmarks share, with their help, and lists of numbers in them.

A command takes all of them as one parameter, `shared: Shared`, and `with_shared` puts them on its
command line.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from forgefield.platform.benchmarking.asked import Asked

Model = Annotated[str, typer.Option(help="nequip, egnn, gemnet, painn or schnet.")]
Seeds = Annotated[int, typer.Option(min=1, help="Of weights, batches and cheap frames: 0, 1, …")]
Effort = Annotated[
    str | None,
    typer.Option(help="Multiplies the steps of all trainings; 0.1,1 does both. [default: --hours]"),
]
Hours = Annotated[
    float | None,
    typer.Option(help="Take the effort that ends in so many. [default: 6, on a GPU 1]"),
]
USUAL_HOURS = {"cpu": 6.0, "cuda": 1.0}
"""Of a benchmark where nothing is said, by the device."""
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


@dataclass(frozen=True, slots=True)
class Shared:
    """What both benchmarks have on their command line."""

    model: Model = "nequip"
    seeds: Seeds = 3
    effort: Effort = None
    hours: Hours = None
    redraw: Redraw = False
    unit: Unit = None
    trust: Trust = False
    recipe: Recipe = None
    parallel: Parallel = None
    device: Device = "auto"
    out: Out = None

    def asked(self, kind: str, accurate: Path, cheap: Path, **own: Any) -> "Asked":  # noqa: ANN401
        """All that is asked of a benchmark of this kind; `own` are its options beside these."""
        from forgefield.platform.benchmarking.asked import Asked
        from forgefield.platform.benchmarking.devices import device_of

        taken = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.effort is not None and self.hours is not None:
            raise InputError("--hours choose the effort; leave out one of --hours and --effort.")
        if self.effort is None and self.hours is None:
            taken["hours"] = USUAL_HOURS[device_of(self.device)]
        efforts = numbers_in(taken.pop("effort") or "1", "--effort")
        usual = Path("benchmarks") / f"{kind}-{accurate.stem}-{cheap.stem}-{self.model}"
        taken["out"] = self.out or usual
        return Asked(accurate=accurate, cheap=cheap, efforts=efforts, **taken, **own)


def with_shared(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every option of `Shared` in place of its parameter `shared`."""

    def called(**values: Any) -> None:  # noqa: ANN401
        taken = {each.name: values.pop(each.name) for each in fields(Shared)}
        command(shared=Shared(**taken), **values)

    own = [each for name, each in signature(command).parameters.items() if name != "shared"]
    shared = signature(Shared).parameters.values()
    options = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*own, *shared)]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__signature__ = Signature(options)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in options}
    return called


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
