"""`platform benchmark`: published comparisons on files of one's own."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.platform.commands.benchmark_options import (
    CheapUnit,
    CurveTest,
    CurveTestFrames,
    CurveValidation,
    Shared,
    Test,
    TestFrames,
    Validation,
    numbers_in,
    whole_numbers_in,
    with_shared,
)
from forgefield.platform.commands.shared import Json, listening, print_json, screen
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forgefield.platform.benchmarking.results import Results
    from forgefield.platform.screen.reporter import Reporter

benchmark = typer.Typer(
    name="benchmark",
    help="Published comparisons on files of your own; killed, the same command goes on.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@benchmark.command()
@with_shared
def asteroid(
    shared: Shared,
    ccsd: Annotated[Path, typer.Option(help="Accurate labels of one molecule (sGDML npz, …).")],
    dft: Annotated[Path, typer.Option(help="Cheap labels of the same molecule.")],
    test: Test = None,
    budget_ccsd: Annotated[int, typer.Option(min=3, help="The budget in accurate labels.")] = 250,
    cost_ratio: Annotated[
        str, typer.Option(help="Cheap labels that cost as much as an accurate one.")
    ] = "20,40,80",
    c: Annotated[
        str, typer.Option("--c", help="Searched in γ = c · median(B), once for a draw and effort.")
    ] = "0.125,0.5,2",
    rows: Annotated[
        str | None,
        typer.Option(
            help="Some of standard, untuned (without fine-tuning), unweighted (without weights), "
            "committee, full (ASTEROID), scores (score matching), delta (Δ-learning), sgdml. "
            "[default: all but committee]"
        ),
    ] = None,
    members: Annotated[int, typer.Option(min=2, help="Networks of the committee.")] = 3,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="K that sampled all cheap frames; without it score matching is left out.",
        ),
    ] = None,
    validation: Validation = None,
    test_frames: TestFrames = None,
    dft_unit: CheapUnit = None,
    as_json: Json = False,
) -> None:
    """The rows of the ASTEROID tables (arXiv 2306.03109) at a budget of accurate labels.

    **platform benchmark asteroid --ccsd ethanol_ccsd_t-train.npz --dft rmd17_ethanol.npz**

    Standard training on the whole budget beside pre-training on the cheap labels that a fifth of
    it buys: without weights, without fine-tuning, in full; by score matching where their
    temperature is given; Δ-learning where cheap labels are paired; sGDML; on demand a committee of
    trainings without weights. The draw is the paper's: shuffled with seed 0, the first frames
    train, the last 5 % validate, all others test. Cheap frames that share a geometry with an
    accurate one are left out; where too few are left, test frames are held back. Nothing is tuned
    per molecule. It ends in about 6 hours, on a GPU in one.
    """
    from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
    from forgefield.platform.benchmarking.asteroid.terms import Terms, kinds_of

    frames = {"validation": validation, "test_frames": test_frames}
    asked = shared.asked("asteroid", ccsd, dft, test=test, cheap_unit=dft_unit, **frames)
    terms = Terms(
        budget=budget_ccsd,
        ratios=numbers_in(cost_ratio, "--cost-ratio"),
        c_grid=numbers_in(c, "--c"),
        temperature=temperature,
        kinds=kinds_of(rows),
        members=members,
    )
    _publish(asked.out, lambda reporter: benchmark_asteroid(asked, terms, reporter), as_json)


@benchmark.command()
@with_shared
def curve(
    shared: Shared,
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
    low_unit: CheapUnit = None,
    as_json: Json = False,
) -> None:
    """Learning curves: fine-tuned from cheap labels against standard training.

    **platform benchmark curve --high h2co_ccsdt.npz --low h2co_b3lyp.npz --unit eV**

    Pre-training takes all cheap frames but those with the geometry of a test or validation frame.
    """
    from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve

    frames = {"validation": validation, "test_frames": test_frames}
    asked = shared.asked("curve", high, low, test=test, cheap_unit=low_unit, **frames)
    asked = replace(asked, cheap_unit_option="--low-unit")
    terms = CurveTerms(sizes=whole_numbers_in(sizes, "--sizes"), low=low_frames)
    _publish(asked.out, lambda reporter: benchmark_curve(asked, terms, reporter), as_json)


def _publish(out: Path, work: "Callable[[Reporter], Results]", as_json: bool) -> None:
    from forgefield.platform.benchmarking.publishing.publish import publish, with_gone_named
    from forgefield.platform.benchmarking.publishing.tables import show_results

    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    results = with_gone_named(listening(work), out)
    paths = publish(results, out)
    if as_json:
        print_json(results)
        return
    show_results(screen, results)
    for path in paths:
        screen.print(str(path), soft_wrap=True, markup=False)
