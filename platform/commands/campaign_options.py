"""Options that `plan` and `run` share, with their help, and the request that they make."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from forgefield.platform.planning.request import Request

Molecule = Annotated[
    str | None,
    typer.Option(
        "--molecule",
        "-m",
        help="A name (aspirin, methanol, …), a SMILES, or a structure file (xyz, sdf, pdb, cif …).",
    ),
]
BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget",
        "-b",
        help="What may be spent: 250ccsd (250 times one CCSD(T) label of this molecule), "
        "2000dft, 40cpuh, 3gpuh or '$120'.",
    ),
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file of settings; see deploy/recipes.")
]
Workdir = Annotated[
    Path | None,
    typer.Option(help="The run folder. [default: runs/MOLECULE-BUDGET, else runs/MOLECULE-TARGET]"),
]
LedgerUrl = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        help="Keep the ledger in this database, such as postgresql://user@host/database. "
        "[default: a file in the run folder]",
    ),
]
LabelBook = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="PLACE",
        help="The label book, a path or a database URL: what another run has bought is taken from "
        "it at no cost. [default: labels.sqlite beside the run folder]",
    ),
]
NoLabelBook = Annotated[
    bool, typer.Option("--no-labels", help="Share no labels with other runs: buy them all.")
]
TargetText = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="The force error to reach: 0.3kcal (kcal/mol/Å) or 13meV (meV/Å). The quote says what "
        "it costs; without --budget, that is the budget.",
    ),
]
Nodes = Annotated[
    int, typer.Option(min=1, max=100_000, help="Quote the wall time on this many nodes too.")
]
CoresPerNode = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        help="Cores of each of the nodes quoted for. [default: as many as here]",
    ),
]

FLAGS = ("molecule", "budget", "target", "charge", "multiplicity", "recipe")
"""What a plan says by itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Options that say what is wanted, as they were written."""

    molecule: str | None
    budget: str | None
    target: str | None
    charge: int | None
    multiplicity: int | None
    recipe: Path | None
    workdir: Path | None

    def refuse_beside(self, plan: Path | None) -> None:
        """Raise `InputError` where a plan already says what is wanted."""
        said = [name for name in FLAGS if getattr(self, name) is not None]
        if plan is not None and said:
            flags = " and ".join(f"--{name}" for name in said)
            raise InputError(
                f"{plan} says what is wanted. Leave {flags} out, or give --molecule with --budget "
                "or --target alone, not both."
            )


def request_for(asked: Asked) -> "Request":
    """What these options ask for; raises `InputError` for what can't be."""
    from forgefield.labelers.molecules import find_molecule
    from forgefield.platform.planning.budget import parse_budget
    from forgefield.platform.planning.imported import imported_labels
    from forgefield.platform.planning.recipe import load_recipe
    from forgefield.platform.planning.request import Request, with_settled_budget
    from forgefield.platform.planning.target_budget import budget_for_target
    from forgefield.platform.planning.targets import parse_target
    from forgefield.platform.run_folder import RunFolder, default_folder

    if asked.molecule is None or (asked.budget, asked.target) == (None, None):
        raise InputError(
            "Say --molecule with --budget or --target (or both), such as -m ethanol -b 20ccsd or "
            "-m ethanol -t 0.5kcal."
        )
    target = parse_target(asked.target) if asked.target is not None else None
    budget = parse_budget(asked.budget) if asked.budget is not None else None
    settings = load_recipe(asked.recipe)
    found = find_molecule(asked.molecule, charge=asked.charge, multiplicity=asked.multiplicity)
    by_target = budget is None
    named = f"{target:g}kcal" if by_target else str(budget)
    folder = RunFolder.at(asked.workdir or default_folder(found.name, named))
    if budget is None:
        assert target is not None  # noqa: S101
        there = imported_labels(folder, settings.methods).labels
        budget = budget_for_target(found, settings, target, there)
    request = Request(found, budget, settings, folder, target=target, by_target=by_target)
    return with_settled_budget(request)
