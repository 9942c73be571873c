"""From the name of a method to the labeler that computes it.

One name says all that changes the number, in one spelling, so that equal names are equal methods.
"""

import re
from collections.abc import Callable
from typing import TypedDict

from forgefield.labelers.basis_sets import basis_name
from forgefield.labelers.ccsd_t import CcsdTLabeler
from forgefield.labelers.dft import DEFAULT_GRID, DftLabeler
from forgefield.labelers.dispersion import Scheme
from forgefield.labelers.hartree_fock import HartreeFockLabeler
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, ENERGY_ONLY, Labeler
from forgefield.labelers.mmff94 import Mmff94Labeler
from forgefield.labelers.mp2 import Mp2Labeler
from forgefield.labelers.openmm_fields import Amber14Labeler, SpcFwLabeler
from forgefield.labelers.uff_labeler import UffLabeler
from forgefield.labelers.xtb import XtbLabeler
from forgefield.storage.errors import InputError

SHORTEST_CUTOFF_A, LONGEST_CUTOFF_A = 3.0, 30.0
KNOWN_FORMS = (
    "MMFF94; UFF; amber14 or SPC/Fw, with ', cutoff N' (Å) for another one in boxes; GFN1-xTB; "
    "GFN2-xTB; FUNCTIONAL/BASIS such as PBE/def2-SVP, FUNCTIONAL-D3(BJ)/BASIS or -D4/BASIS, "
    "with ', grid N' for another grid; HF/BASIS; MP2/BASIS, CCSD/BASIS, CCSD(T)/BASIS or "
    "DF-CCSD(T)/BASIS (density-fitted), each with ', frozen core' or ', all electrons'; "
    "each of them with ', energy only' at the end for labels without forces"
)


class Options(TypedDict):
    """What every labeler takes, whatever its method."""

    memory_bytes: int
    energy_only: bool


def labeler_for(method_name: str, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Labeler:
    """The labeler of a method; its `method.name` is the one spelling of the name.

    CCSD(T) or MP2 without a word about the core freezes it. Raises `InputError` for a name,
    functional, basis or dispersion that isn't known.
    """
    text = " ".join(method_name.split())
    bare = _ENERGY_ONLY.sub("", text)
    options = Options(memory_bytes=memory_bytes, energy_only=bare != text)
    for pattern, make in _FORMS:
        found = pattern.fullmatch(bare)
        if found:
            return make(found, options)
    raise InputError(f"no method is called {method_name[:80]!r}; known forms: {KNOWN_FORMS}")


def _mmff(found: re.Match[str], options: Options) -> Labeler:  # noqa: ARG001
    return Mmff94Labeler(**options)


def _amber(found: re.Match[str], options: Options) -> Labeler:
    return Amber14Labeler(cutoff_A=_cutoff(found[1]), **options)


def _water(found: re.Match[str], options: Options) -> Labeler:
    return SpcFwLabeler(cutoff_A=_cutoff(found[1]), **options)


def _cutoff(text: str | None) -> float | None:
    if text is not None and not SHORTEST_CUTOFF_A <= float(text) <= LONGEST_CUTOFF_A:
        raise InputError(
            f"a cutoff of {text} Å is not from {SHORTEST_CUTOFF_A:g} to {LONGEST_CUTOFF_A:g} Å"
        )
    return None if text is None else float(text)


def _xtb(found: re.Match[str], options: Options) -> Labeler:
    return XtbLabeler(f"GFN{found[1]}-xTB", **options)


def _mp2(found: re.Match[str], options: Options) -> Labeler:
    return Mp2Labeler(basis_name(found[1]), frozen_core=_frozen(found[2]), **options)


def _coupled_cluster(found: re.Match[str], options: Options) -> Labeler:
    return CcsdTLabeler(
        basis_name(found[3]),
        frozen_core=_frozen(found[4]),
        triples=found[2] is not None,
        fitted=found[1] is not None,
        **options,
    )


def _frozen(text: str | None) -> bool:
    return text is None or text.lower() == "frozen core"


def _hartree_fock(found: re.Match[str], options: Options) -> Labeler:
    return HartreeFockLabeler(basis_name(found[1]), **options)


def _dft(found: re.Match[str], options: Options) -> Labeler:
    grid = int(found[4]) if found[4] else DEFAULT_GRID
    functional, basis = functional_name(found[1]), basis_name(found[3])
    return DftLabeler(functional, basis, grid, dispersion=_scheme(found[2]), **options)


def _scheme(text: str | None) -> Scheme | None:
    if text is None:
        return None
    return "D4" if text.upper() == "D4" else "D3(BJ)"


_ENERGY_ONLY = re.compile(re.escape(ENERGY_ONLY).replace(r"\ ", " ?", 1) + "$", re.IGNORECASE)
_CUTOFF = r"(?:, ?cutoff ([0-9]+(?:\.[0-9]+)?))?"
_BASIS_AND_CORE = r"([^/,]+?)(?:, ?(frozen core|all electrons))?"
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Options], Labeler]], ...] = (
    (re.compile(r"MMFF94", re.IGNORECASE), _mmff),
    (re.compile(r"UFF", re.IGNORECASE), lambda _, options: UffLabeler(**options)),
    (re.compile(rf"amber14{_CUTOFF}", re.IGNORECASE), _amber),
    (re.compile(rf"SPC/Fw{_CUTOFF}", re.IGNORECASE), _water),
    (re.compile(r"GFN([12])-?xTB", re.IGNORECASE), _xtb),
    (re.compile(rf"(DF-)?CCSD(\(T\))?/{_BASIS_AND_CORE}", re.IGNORECASE), _coupled_cluster),
    (re.compile(rf"MP2/{_BASIS_AND_CORE}", re.IGNORECASE), _mp2),
    (re.compile(r"HF/([^/,]+)", re.IGNORECASE), _hartree_fock),
    (
        re.compile(
            r"([A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*?)(?:-(D3\(BJ\)|D3BJ|D4))?"
            r"/([^/,]+?)(?:, ?grid ([0-9]))?",
            re.IGNORECASE,
        ),
        _dft,
    ),
)
_WAVE_FUNCTIONS = frozenset({"HF", "RHF", "UHF", "RIMP2", "MP3", "CISD", "CC2"})
_INCOMPLETE = re.compile(r"d[34]|[-_]d$|vv10|[-_]r?v$|2plyp|dsd")
_MIXED_CASE = {"wb97x": "wB97X", "wb97": "wB97", "camb3lyp": "CAM-B3LYP", "b97": "B97"}


def functional_name(text: str) -> str:
    """The one spelling of a density functional; `InputError` unless PySCF computes it whole."""
    from pyscf.dft import libxc

    plain = text.lower().replace("-", "").replace("_", "")
    if text.upper() in _WAVE_FUNCTIONS:
        raise InputError(f"{text} labels are not offered; known forms: {KNOWN_FORMS}")
    try:
        known = bool(libxc.parse_xc(text)[1])
    except (KeyError, ValueError, IndexError):
        known = False
    if not known or _INCOMPLETE.search(text.lower()):
        raise InputError(
            f"{text!r} is no functional that PySCF computes whole (no double hybrids, no non-local "
            "correlation; dispersion is written -D3(BJ) or -D4); known are PBE, PBE0, B3LYP, "
            "TPSS, r2SCAN, …"
        )
    return _MIXED_CASE.get(plain, text.upper())
