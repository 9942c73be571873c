"""From the name of a method to the labeler that computes it.

One name says all that changes the number, in one spelling, so that equal names are equal methods.
"""

import re
from collections.abc import Callable
from typing import TypedDict

from forgefield.labelers.basis_sets import basis_name
from forgefield.labelers.ccsd_t import CcsdTLabeler
from forgefield.labelers.dft import DEFAULT_GRID, DftLabeler
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, ENERGY_ONLY, Labeler
from forgefield.labelers.mmff94 import Mmff94Labeler
from forgefield.labelers.xtb import XtbLabeler
from forgefield.storage.errors import InputError

LABELERS: dict[str, type[Labeler]] = {
    "MMFF94": Mmff94Labeler,
    "xTB": XtbLabeler,
    "DFT": DftLabeler,
    "CCSD(T)": CcsdTLabeler,
}
KNOWN_FORMS = (
    "MMFF94; GFN1-xTB; GFN2-xTB; FUNCTIONAL/BASIS such as PBE/def2-SVP, with ', grid N' for "
    "another grid; CCSD(T)/BASIS, frozen core; CCSD(T)/BASIS, all electrons; each of them with "
    "', energy only' at the end for labels without forces"
)


class Options(TypedDict):
    """What every labeler takes, whatever its method."""

    memory_bytes: int
    energy_only: bool


def labeler_for(method_name: str, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Labeler:
    """The labeler of a method; its `method.name` is the one spelling of the name.

    CCSD(T) without a word about the core freezes it. Raises `InputError` for a name, functional
    or basis that isn't known.
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


def _xtb(found: re.Match[str], options: Options) -> Labeler:
    return XtbLabeler(f"GFN{found[1]}-xTB", **options)


def _ccsd_t(found: re.Match[str], options: Options) -> Labeler:
    frozen = found[2] is None or found[2].lower() == "frozen core"
    return CcsdTLabeler(basis_name(found[1]), frozen_core=frozen, **options)


def _dft(found: re.Match[str], options: Options) -> Labeler:
    grid = int(found[3]) if found[3] else DEFAULT_GRID
    return DftLabeler(functional_name(found[1]), basis_name(found[2]), grid, **options)


_ENERGY_ONLY = re.compile(re.escape(ENERGY_ONLY).replace(r"\ ", " ?", 1) + "$", re.IGNORECASE)
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Options], Labeler]], ...] = (
    (re.compile(r"MMFF94", re.IGNORECASE), _mmff),
    (re.compile(r"GFN([12])-?xTB", re.IGNORECASE), _xtb),
    (
        re.compile(r"CCSD\(T\)/([^/,]+?)(?:, ?(frozen core|all electrons))?", re.IGNORECASE),
        _ccsd_t,
    ),
    (
        re.compile(
            r"([A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*)/([^/,]+?)(?:, ?grid ([0-9]))?",
            re.IGNORECASE,
        ),
        _dft,
    ),
)
_WAVE_FUNCTIONS = frozenset({"HF", "RHF", "UHF", "MP2", "RIMP2", "MP3", "CCSD", "CISD", "CC2"})
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
            f"{text!r} is no functional that PySCF computes whole (double hybrids, dispersion and "
            "non-local correlation are left out); known are PBE, PBE0, B3LYP, TPSS, r2SCAN, …"
        )
    return _MIXED_CASE.get(plain, text.upper())
