"""`platform label`: energies and forces for every frame of a structure file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.platform.commands.shared import (
    Charge,
    Json,
    Multiplicity,
    RayAddress,
    listening,
    print_json,
    screen,
)
from forgefield.storage.errors import InputError, WaveOfFailures

if TYPE_CHECKING:
    from forgefield.platform.labelling_files.work import Work

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"([0-9]*\.?[0-9]+) *([kmgt]?)(i?)b?", re.IGNORECASE)


def label(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Structures: extended XYZ, xyz, SDF, PDB, an sGDML or rMD17 archive (npz), or "
            "whatever else ASE reads. Molecules may differ from frame to frame.",
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-M",
            help="MMFF94, GFN2-xTB, PBE/def2-SVP or another FUNCTIONAL/BASIS, HF/BASIS, MP2/BASIS, "
            "CCSD(T)/BASIS; a wrong name lists all forms.",
        ),
    ] = "CCSD(T)/cc-pVDZ",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            dir_okay=False,
            help="Extended XYZ to write. [default: FILE's name with -labelled.xyz, in this folder]",
        ),
    ] = None,
    all_electron: Annotated[
        bool, typer.Option("--all-electron", help="Correlate the core too. [default: frozen core]")
    ] = False,
    energy_only: Annotated[
        bool, typer.Option("--energy-only", help="No forces: several times cheaper.")
    ] = False,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of each label. [default: 1, more where memory is short]"),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory of a node for all its labels: 8GB. [default: 80 % of it]"),
    ] = None,
    ray_address: RayAddress = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost, and compute nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Label every frame of a file: energy (eV), forces (eV/Å), and where each came from.

    For example, a trajectory by CCSD(T), after a look at the price:

    **platform label traj.xyz --estimate**

    **platform label traj.xyz --method "CCSD(T)/cc-pVDZ" -o labelled.xyz**

    All cores work side by side. Ctrl-C, kill or power cut: the same command goes on, and only
    labels in flight are lost. OUT appears at the end, in the file's order. Frames that fail are
    left out of it and listed, and the exit code is 7; the same command tries those again that may
    go differently.
    """
    work = _checked(
        file, out, method, all_electron, energy_only, charge, multiplicity, threads, memory
    )
    from forgefield.platform.labelling_files.labelling import estimate_file, label_file
    from forgefield.platform.labelling_files.showing import show_quote, show_summary

    if estimate:
        found = estimate_file(work, ray_address)
        print_json(found) if as_json else show_quote(screen, found)
        return
    done = listening(lambda reporter: label_file(work, ray_address, reporter))
    print_json(done) if as_json else show_summary(screen, done)
    if done.failures:
        raise typer.Exit(WaveOfFailures.exit_code)


def _checked(
    file: Path,
    out: Path | None,
    method: str,
    all_electron: bool,
    energy_only: bool,
    charge: int | None,
    multiplicity: int | None,
    threads: int | None,
    memory: str | None,
) -> "Work":
    """Everything that can be refused is refused here, before Ray is even loaded."""
    from forgefield.platform.labelling_files.work import Asked, method_name, prepare

    out = out or Path(f"{file.stem}-labelled.xyz")
    if out.resolve() == file.resolve():
        raise InputError(f"{out} is the file to be labelled; write to another one with -o.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent}; make it, or choose another with -o.")
    asked = Asked(
        file=file,
        out=out,
        method=method_name(method, all_electrons=all_electron, energy_only=energy_only),
        charge=charge,
        multiplicity=multiplicity,
        threads=threads,
        memory_bytes=None if memory is None else parse_size(memory),
    )
    return prepare(asked)


def parse_size(text: str) -> int:
    """Bytes meant by `8GB`, `500 MB`, `7.5GiB`; a bare number is GB."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise InputError(f"{text!r} is no amount of memory; write it as 8GB or 500MB.")
    unit = found[2].lower()
    if not unit:
        return int(float(found[1]) * 10**9)
    base = _UNITS[unit]
    exponent = len(str(base)) // 3
    return int(float(found[1]) * (1024**exponent if found[3] else base))
