"""`platform export` and `platform import`: labels to and from other programs."""

from pathlib import Path
from typing import Annotated

import typer

from forgefield.platform.commands.shared import (
    Charge,
    Json,
    Multiplicity,
    RunPath,
    listening,
    messages,
    print_json,
    screen,
)

ReadFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="extxyz, sgdml, ase, hdf5, zarr or release. [default: by the name]",
    ),
]
WrittenFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="extxyz, sgdml, ase, hdf5, lmdb, deepmd, pyg or release. [default: by the name]",
    ),
]


def export(
    folder: RunPath,
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="What to write; for a release also s3://BUCKET/FOLDER."),
    ],
    format_name: WrittenFormat = None,
    tier: Annotated[
        list[str] | None, typer.Option(help="Only this tier; may be given several times.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", "-M", help="Only this method; as with --tier.")
    ] = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this: calibration, train, validation, holdout; or all. "
            "[default: all but the hold-out]"
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only this, as `platform split` made it: train, validation or test."),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Of a release: CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0 or ODbL-1.0.")
    ] = "CC-BY-4.0",
    title: Annotated[str | None, typer.Option(help="Of a release. [default: RUN's name]")] = None,
    as_json: Json = False,
) -> None:
    """Write labelled frames for other programs (eV, Å, eV/Å).

    By the end of OUT's name: extended XYZ (.xyz), sGDML (.npz), ASE database (.db), HDF5 (.h5),
    LMDB (.lmdb), DeePMD (.deepmd), PyTorch Geometric (.pt), or with **--format release** a folder
    to publish: sharded Zarr, dataset card, licence, checksums and splits.

    The old file or the whole new one is there, whatever happens. Hold-out frames are left out
    unless asked for by **--purpose**.
    """
    from forgefield.platform.data_sets.exporting import Wanted, export_frames
    from forgefield.platform.run_folder import RunFolder
    from forgefield.storage.formats.release_text import ReleaseTerms

    found = RunFolder.existing(folder)
    terms = ReleaseTerms(title or found.root.name, licence)
    choices = (tier, method, purpose, split)
    wanted = Wanted(*(tuple(names or ()) for names in choices))
    done = listening(
        lambda reporter: export_frames(found, out, wanted, reporter, format_name, terms)
    )
    if done.holdout_left_out:
        messages.print(
            f"{done.holdout_left_out} frames of the hold-out were left out, so that nobody trains "
            "on them; --purpose all takes them along.",
            markup=False,
        )
    if as_json:
        print_json(done)
        return
    screen.print(f"{done.frames} frames written to {done.path} ({done.format})", markup=False)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Extended XYZ, an sGDML or rMD17 archive (npz), an ASE database (db), HDF5 as "
            "written by export, a release, or another run's frames.zarr.",
        ),
    ],
    into: Annotated[
        Path, typer.Option("--into", help="A run folder, or a data set, made where there is none.")
    ],
    tier: Annotated[
        str | None, typer.Option(help="empirical, xtb, dft or ccsd. [default: what METHOD means]")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", "-M", help="What computed the labels, such as PBE/def2-SVP. [default: FILE]"
        ),
    ] = None,
    energy_unit: Annotated[
        str | None,
        typer.Option(help="eV, kcal/mol, kJ/mol, Hartree or meV. [default: FILE's]"),
    ] = None,
    length_unit: Annotated[
        str | None, typer.Option(help="angstrom, bohr or nm. [default: FILE's, else angstrom]")
    ] = None,
    force_unit: Annotated[
        str | None,
        typer.Option(help="Such as Hartree/bohr. [default: unit of energy / unit of length]"),
    ] = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    molecule: Annotated[
        str | None, typer.Option(help="Its name. [default: FILE's, else FILE's name]")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option(help="train or validation. [default: FILE's, else train]")
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(help="What a label cost its makers: 12.5s, 2min, 0.3h. Only noted."),
    ] = None,
    skip_duplicates: Annotated[
        bool,
        typer.Option(help="Leave out labels that are there already; else they refuse the file."),
    ] = True,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Don't doubt units and signs, as with pseudopotentials' energies."
        ),
    ] = False,
    format_name: ReadFormat = None,
    as_json: Json = False,
) -> None:
    """Take in labels that others computed, at no cost.

    **platform import rmd17_ethanol.npz --into data/ethanol --method PBE/def2-SVP
    --energy-unit kcal/mol**

    The whole file is checked first: numbers, units against what such molecules have, forces
    against the energies, the method against what FILE says, labels against those that are there.
    What contradicts is refused, and nothing is imported. Killed midway, the same command goes on.
    """
    from forgefield.platform.data_sets.importing import import_file, parse_cost
    from forgefield.platform.foreign_labels.judging import Question
    from forgefield.platform.foreign_labels.stated import Stated
    from forgefield.platform.run_folder import RunFolder

    stated = Stated(
        tier,
        method,
        energy_unit,
        length_unit,
        charge,
        multiplicity,
        molecule,
        purpose,
        force_unit,
    )
    question = Question(file, stated, parse_cost(cost) if cost else 0.0, format_name, trust)
    done = listening(
        lambda reporter: import_file(
            question, RunFolder.at(into), reporter, skip_duplicates=skip_duplicates
        )
    )
    if as_json:
        print_json(done)
        return
    judging = f"{done.judging} have geometries that the run is judged by, " if done.judging else ""
    screen.print(
        f"{done.imported} of {done.frames} frames imported into {done.folder} "
        f"({', '.join(done.methods)}; from {done.energy_unit} and {done.length_unit}); "
        f"{judging}{done.already_there} were there already, {done.duplicates} repeat others of the "
        f"file, {done.near_duplicates} are near another frame.",
        markup=False,
    )
