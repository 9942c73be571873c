"""Gaussian basis sets by name: spelling, existence, and how many functions a molecule gets."""

import contextlib
import io
import re
import warnings
from functools import lru_cache

from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

KNOWN_EXAMPLES = "def2-SVP, def2-TZVP, cc-pVDZ, cc-pVTZ, aug-cc-pVDZ, 6-31G*"
_LAST_ALL_ELECTRON_DEF2 = 36
_NOT_FOR_ALL_ELECTRONS = re.compile(
    r"lanl|sbkjc|crenb|stuttgart|bfd|ccecp|gth|v[dtq5]zpp$|fit$|ri$|weigend|demon|ahlrichs"
)


def basis_name(text: str) -> str:
    """The one spelling used in method names, such as cc-pVDZ or def2-SVP.

    Raises `InputError` for a basis that PySCF doesn't have.
    """
    from pyscf.gto.basis import ALIAS

    plain = re.sub(r"[\s_-]", "", text.strip().lower())
    if _NOT_FOR_ALL_ELECTRONS.search(plain):
        raise InputError(
            f"{text.strip()!r} is made for core potentials or for fitting; known basis sets are "
            f"{KNOWN_EXAMPLES}, …"
        )
    if plain not in ALIAS:
        raise InputError(f"PySCF has no basis set {text.strip()!r}; known are {KNOWN_EXAMPLES}, …")
    dunning = re.fullmatch(r"(aug)?ccp(c|wc)?v([dtq56])z", plain)
    if dunning:
        augmented, core, zeta = dunning.groups()
        core = {"c": "C", "wc": "wC"}.get(core or "", "")
        return f"{'aug-' if augmented else ''}cc-p{core}V{zeta.upper()}Z"
    if plain.startswith("def2"):
        return f"def2-{plain[4:].upper()}"
    return text.strip().upper()


def refuse_unfitted(molecule: Molecule, basis: str) -> None:
    """Raise `InputError` where PySCF has no set to fit Coulomb and exchange of an element with."""
    from pyscf import df, gto, scf

    for number in sorted(set(molecule.numbers)):
        symbol = _symbol(number)
        atom = gto.M(atom=[(symbol, (0, 0, 0))], basis=basis, spin=None, verbose=0)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                df.addons.make_auxmol(atom, scf.ROHF(atom).density_fit().with_df.auxbasis)
        except (KeyError, RuntimeError, ValueError, OSError) as error:
            raise InputError(
                f"PySCF has no set to fit {symbol} in {basis} with; ask for exact integrals: "
                "leave out DF-"
            ) from error


def refuse_missing_elements(molecule: Molecule, basis: str) -> None:
    """Raise `InputError` where the basis lacks an element of the molecule."""
    for number in sorted(set(molecule.numbers)):
        try:
            functions_of(number, basis)
        except (KeyError, RuntimeError, ValueError, OSError) as error:
            raise InputError(
                f"{basis} has no functions for {_symbol(number)}, which {molecule.name} holds; "
                "choose another basis set, such as def2-SVP"
            ) from error


def count_functions(numbers: tuple[int, ...], basis: str) -> int:
    """Number of spherical basis functions of a molecule."""
    return sum(functions_of(number, basis) for number in numbers)


@lru_cache(maxsize=512)
def functions_of(number: int, basis: str) -> int:
    """Number of spherical basis functions of one atom."""
    from pyscf import gto

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySCF advises to fetch unknown ones from elsewhere
        shells = gto.basis.load(basis, _symbol(number))
    if not shells:
        raise KeyError(basis)
    return sum((2 * shell[0] + 1) * (len(shell[-1]) - 1) for shell in shells)


def core_potentials(numbers: tuple[int, ...], basis: str) -> dict[str, str]:
    """Effective core potentials that a basis was made for: def2 beyond krypton."""
    if not basis.startswith("def2"):
        return {}
    return {_symbol(n): basis for n in set(numbers) if n > _LAST_ALL_ELECTRON_DEF2}


def _symbol(number: int) -> str:
    from pyscf.data.elements import ELEMENTS

    symbol: str = ELEMENTS[number]
    return symbol
