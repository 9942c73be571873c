"""`platform rehearse`: a plan tried out with cheap methods in the dear ones' places."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from forgefield.platform.commands.campaign_options import (
    Asked,
    BudgetText,
    LedgerUrl,
    Molecule,
    RecipeFile,
    TargetText,
    request_for,
)
from forgefield.platform.commands.shared import (
    Charge,
    Json,
    Multiplicity,
    RayAddress,
    listening,
    print_json,
    screen,
)
from forgefield.platform.replaying.parts import Lead, Length, Prices


def rehearse(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A plan file, or the folder of a planned run."),
    ] = None,
    molecule: Molecule = None,
    budget: BudgetText = None,
    target: TargetText = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    recipe: RecipeFile = None,
    workdir: Annotated[
        Path | None,
        typer.Option(help="The rehearsal's folder. [default: that of the run, with -rehearsal]"),
    ] = None,
    lead: Annotated[
        Lead,
        typer.Option(
            "--lead",
            help="Whose method poses as the target: xtb (minutes) or dft (closer to the truth). "
            "The tiers below it play the others.",
        ),
    ] = Lead.XTB,
    prices: Annotated[
        Prices,
        typer.Option(
            help="What a posing label is charged: quoted, as the plan says of the real one, so "
            "that the budget buys what it will buy; or own, what it really takes, so that quoted "
            "costs and times are put to the test.",
        ),
    ] = Prices.QUOTED,
    training: Annotated[
        Length,
        typer.Option(
            help="How long it trains: short, the recipe's steps once; or quoted, as long as the "
            "real run does, up to 30 times that, so that its forecast is put to the test.",
        ),
    ] = Length.SHORT,
    ledger: LedgerUrl = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Run a whole plan with cheap methods posing as the dear ones, and see how good its quote was.

    Takes what **run** takes. Ledger, rounds, stop and hold-out are as in the real run. The labels
    come from methods that take milliseconds, under names that say so (*GFN2-xTB, posing as
    CCSD(T)/…*), and training is shorter where the real run's labels deserve a longer one, unless
    **--training quoted** asks for all of it; errors are larger then, forecast and measured. At the
    end: error forecast and measured, cost quoted and real, labels
    planned and bought. Such labels enter no label book and serve no other run.

    Try **platform rehearse -m ethanol -b 20ccsd** before days of coupled cluster.
    """
    from forgefield.platform.replaying import rehearsal
    from forgefield.platform.showing.rehearsal import show_rehearsed

    asked = Asked(molecule, budget, target, charge, multiplicity, recipe, workdir=None)
    asked.refuse_beside(plan)
    if plan is None:
        request, quoted = request_for(asked), None
    else:
        request, quoted = rehearsal.plan_to_rehearse(plan)
    posing = rehearsal.request_to_rehearse(request, quoted, lead, prices, workdir, training)
    posing = replace(posing, ledger=ledger)
    real = rehearsal.real_effort(request, quoted)
    found = listening(lambda reporter: rehearsal.rehearse(posing, ray_address, reporter, real))
    print_json(found) if as_json else show_rehearsed(screen, found)
