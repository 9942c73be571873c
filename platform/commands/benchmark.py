"""`platform benchmark`: published comparisons on files of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forgefield.platform.commands.benchmark_options import (
    CheapUnit,
    CurveTest,
    CurveTestFrames,
    CurveValidation,
    Device,
    Effort,
    Model,
    Out,
    Parallel,
    Recipe,
    Redraw,
    Seeds,
    Test,
    TestFrames,
    Trust,
    Unit,
    Validation,
    numbers_in,
    whole_numbers_in,
)
from forgefield.platform.commands.shared import Json, listening, print_json, screen
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forgefield.platform.benchmarking.asked import Asked
    from forgefield.platform.benchmarking.results import Results
    from forgefield.platform.screen.reporter import Reporter

Files = tuple[Path, Path, Path | None]
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
    dft_unit: CheapUnit = None,
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

    asked = _asked(
        "asteroid",
        (ccsd, dft, test),
        out,
        model=model,
        recipe=recipe,
        seeds=seeds,
        efforts=numbers_in(effort, "--effort"),
        validation=validation,
        test_frames=test_frames,
        redraw=redraw,
        unit=unit,
        cheap_unit=dft_unit,
        trust=trust,
        parallel=parallel,
        device=device,
    )
    terms = Terms(
        budget=budget_ccsd,
        ratios=numbers_in(cost_ratio, "--cost-ratio"),
        c_grid=numbers_in(c, "--c"),
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
    test: CurveTest = None,
    test_frames: CurveTestFrames = 200,
    validation: CurveValidation = 50,
    low_frames: Annotated[
        int | None, typer.Option(min=1, help="Cheap labels to train on. [default: all]")
    ] = None,
    model: Model = "nequip",
    seeds: Seeds = 3,
    effort: Effort = "1",
    redraw: Redraw = False,
    unit: Unit = None,
    low_unit: CheapUnit = None,
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

    asked = _asked(
        "curve",
        (high, low, test),
        out,
        model=model,
        recipe=recipe,
        seeds=seeds,
        efforts=numbers_in(effort, "--effort"),
        validation=validation,
        test_frames=test_frames,
        redraw=redraw,
        unit=unit,
        cheap_unit=low_unit,
        trust=trust,
        parallel=parallel,
        device=device,
    )
    terms = CurveTerms(sizes=whole_numbers_in(sizes, "--sizes"), low=low_frames)
    _publish(asked.out, lambda reporter: benchmark_curve(asked, terms, reporter), as_json)


def _asked(kind: str, files: Files, out: Path | None, **options: Any) -> "Asked":  # noqa: ANN401
    """What both benchmarks ask for; `files` are the accurate, the cheap and the test one."""
    from forgefield.platform.benchmarking.asked import Asked

    accurate, cheap, test = files
    usual = Path("benchmarks") / f"{kind}-{accurate.stem}-{cheap.stem}-{options['model']}"
    return Asked(accurate=accurate, cheap=cheap, test=test, out=out or usual, **options)


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
