"""`platform benchmark`: published comparisons on files of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.platform.commands.shared import Json, listening, print_json, screen
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forgefield.platform.benchmarking.results import Results
    from forgefield.platform.screen.reporter import Reporter

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
Redraw = Annotated[
    bool, typer.Option("--redraw", help="Every seed draws accurate frames of its own too.")
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit", "--energy-unit", help="Of all files: kcal/mol, eV, … [default: theirs, kcal/mol]"
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help="Don't doubt units and signs.")]
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

benchmark = typer.Typer(
    name="benchmark",
    help="Published comparisons on files of your own; killed, the same command goes on.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@benchmark.command()
def asteroid(
    ccsd: Annotated[Path, typer.Option(help="Accurate labels of one molecule (sGDML npz, …).")],
    dft: Annotated[Path, typer.Option(help="Cheap labels of the same molecule.")],
    test: Test = None,
    model: Model = "nequip",
    seeds: Seeds = 3,
    budget_ccsd: Annotated[int, typer.Option(min=3, help="The budget in accurate labels.")] = 250,
    cost_ratio: Annotated[
        str, typer.Option(help="Cheap labels that cost as much as an accurate one.")
    ] = "20,40,80",
    c: Annotated[str, typer.Option("--c", help="Searched in γ = c · median(B).")] = "0.5,1,2",
    rows: Annotated[
        str | None,
        typer.Option(
            help="Some of standard, untuned, unweighted, full, scores, delta, sgdml. [default: all]"
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=1, help="K that sampled the cheap frames, for score matching.")
    ] = 500.0,
    effort: Effort = "1",
    validation: Validation = None,
    test_frames: TestFrames = None,
    redraw: Redraw = False,
    unit: Unit = None,
    trust: Trust = False,
    recipe: Recipe = None,
    parallel: Parallel = None,
    device: Device = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The rows of the ASTEROID tables (arXiv 2306.03109) at a budget of accurate labels.

    **platform benchmark asteroid --ccsd ethanol_ccsd_t-train.npz --dft rmd17_ethanol.npz**

    Standard training on the whole budget beside pre-training on the cheap labels that a fifth of
    it buys: without weights, without fine-tuning, in full, by score matching; Δ-learning where
    cheap labels are paired; sGDML. The draw is the paper's: shuffled with seed 0, the first
    frames train, the last 5 % validate, all others test. Cheap frames that share a geometry with
    an accurate one are left out. Nothing is tuned per molecule.
    """
    from forgefield.platform.benchmarking.asteroid import benchmark_asteroid
    from forgefield.platform.benchmarking.asteroid_terms import Terms, kinds_of
    from forgefield.platform.benchmarking.preparing import Asked

    asked = Asked(
        accurate=ccsd,
        cheap=dft,
        test=test,
        out=out or Path("benchmarks") / f"asteroid-{ccsd.stem}-{model}",
        model=model,
        recipe=recipe,
        seeds=seeds,
        efforts=_numbers(effort, "--effort"),
        validation=validation,
        test_frames=test_frames,
        redraw=redraw,
        unit=unit,
        trust=trust,
        parallel=parallel,
        device=device,
    )
    terms = Terms(
        budget=budget_ccsd,
        ratios=_numbers(cost_ratio, "--cost-ratio"),
        c_grid=_numbers(c, "--c"),
        temperature=temperature,
        kinds=kinds_of(rows),
    )
    _publish(asked.out, lambda reporter: benchmark_asteroid(asked, terms, reporter), as_json)


@benchmark.command()
def curve(
    high: Annotated[Path, typer.Option(help="Accurate labels of one molecule (sGDML npz, …).")],
    low: Annotated[Path, typer.Option(help="Cheap labels of the same molecule.")],
    sizes: Annotated[
        str, typer.Option(help="Accurate labels to train on, each part of the next.")
    ] = "25,50,100,200",
    test: Test = None,
    test_frames: TestFrames = 200,
    validation: Validation = 50,
    low_frames: Annotated[
        int | None, typer.Option(min=1, help="Cheap labels to train on. [default: all]")
    ] = None,
    model: Model = "nequip",
    seeds: Seeds = 3,
    effort: Effort = "1",
    redraw: Redraw = False,
    unit: Unit = None,
    trust: Trust = False,
    recipe: Recipe = None,
    parallel: Parallel = None,
    device: Device = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Learning curves: fine-tuned from cheap labels against standard training.

    **platform benchmark curve --high h2co_ccsdt.npz --low h2co_b3lyp.npz --unit eV**

    Pre-training takes all cheap frames but those with the geometry of a test or validation frame.
    """
    from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve
    from forgefield.platform.benchmarking.preparing import Asked

    asked = Asked(
        accurate=high,
        cheap=low,
        test=test,
        out=out or Path("benchmarks") / f"curve-{high.stem}-{model}",
        model=model,
        recipe=recipe,
        seeds=seeds,
        efforts=_numbers(effort, "--effort"),
        validation=validation,
        test_frames=test_frames,
        redraw=redraw,
        unit=unit,
        trust=trust,
        parallel=parallel,
        device=device,
    )
    whole = tuple(round(size) for size in _numbers(sizes, "--sizes"))
    terms = CurveTerms(sizes=tuple(sorted(set(whole))), low=low_frames)
    _publish(asked.out, lambda reporter: benchmark_curve(asked, terms, reporter), as_json)


def _publish(out: Path, work: "Callable[[Reporter], Results]", as_json: bool) -> None:
    from forgefield.platform.benchmarking.publishing import publish
    from forgefield.platform.benchmarking.tables import show_results

    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    results = listening(work)
    paths = publish(results, out)
    if as_json:
        print_json(results)
        return
    show_results(screen, results)
    for path in paths:
        screen.print(str(path), soft_wrap=True, markup=False)


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} are no numbers; write {option} 1,2 with commas.") from None
    if min(found) <= 0 or max(found) == float("inf"):
        raise InputError(f"{option} {text}: all must be above 0.")
    return tuple(dict.fromkeys(found))
