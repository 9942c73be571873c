"""By which method the frames of a file were labelled: what the file says, and what the caller says.

They may fill in a program or a basis that the other leaves out; whatever else only one of them says
makes another method, and labels of several methods must not pass for one.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.stand_in_names import cast_of
from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.records import Method, Tier

_BASIS = re.compile(
    r"(ma-|heavy-|d-|jun-|jul-|may-)?(aug-)?"
    r"(def2?-|cc-|\d-\d\d?1|sto-|pc(seg)?-|lanl|[dtq]zv?p|svp|minix?$|cbs|[dtq]z$|v[dtq]z)"
)
"""How names of basis sets begin, in small letters."""
EMPIRICAL_NAMES = ("mmff", "uff", "amber", "spc", "opls", "gaff", "charmm")


def methods_of(frames: ForeignFrames, stated: Stated, path: Path) -> tuple[Method, ...]:
    """The method of each frame; raises `InputError` for contradictions and what isn't said."""
    return _each(
        [_one_method(*each, stated, path) for each in sorted(set(_levels(frames)))],
        sorted(set(_levels(frames))),
        _levels(frames),
    )


def _levels(frames: ForeignFrames) -> list[tuple[str, str]]:
    return list(zip(frames.methods, frames.tiers, strict=True))


def _each(
    found: Sequence[Method], kinds: Sequence[tuple[str, str]], levels: Iterable[tuple[str, str]]
) -> tuple[Method, ...]:
    table = dict(zip(kinds, found, strict=True))
    return tuple(table[level] for level in levels)


def _one_method(in_file: str, tier_in_file: str, stated: Stated, path: Path) -> Method:
    fuller = stated.method and not _terms(in_file) > _terms(stated.method)
    name = " ".join(((stated.method if fuller else in_file) or "").split())
    if not name:
        raise InputError(f"{path} doesn't name its method. Say --method, such as PBE/def2-SVP.")
    if stated.method and in_file and not agree(stated.method, in_file):
        raise InputError(
            f"{path} says that it was labelled by {in_file!r}, --method says {stated.method!r}. "
            "Import it as what it is: labels of several methods must not pass for one."
        )
    likely, tier = tier_of(name), stated.tier or tier_in_file or tier_of(name)
    tiers = [member.value for member in Tier]
    if not tier or tier.lower() not in tiers:
        said = f"{tier!r} is no tier" if tier else f"nobody says the tier of {name}"
        raise InputError(f"{said}. Say --tier: {', '.join(tiers)}.")
    clash = [each for each in (likely, tier_in_file) if each and each != tier.lower()]
    if clash:
        raise InputError(
            f"{name} is a method of tier {clash[0]}, not {tier}. Say --tier {clash[0]}."
        )
    return Method(Tier(tier.lower()), name)


def tier_of(method: str) -> str:
    """The tier that a method's name means; "" where the name says nothing."""
    plain = cast_of(method)[0].lower().replace("(", "").replace(")", "")
    if "ccsd" in plain or "fci" in plain:
        return Tier.CCSD.value
    if "xtb" in plain:
        return Tier.XTB.value
    if plain.startswith(EMPIRICAL_NAMES):
        return Tier.EMPIRICAL.value
    return Tier.DFT.value if "/" in plain else ""


def agree(one: str, other: str) -> bool:
    """Only a program or a basis may be absent: "Psi4: CCSD(T), cc-pVTZ" is CCSD(T)/cc-pVTZ.

    A dispersion correction, a solvent or a frozen core that only one names is another method.
    """
    (first, first_basis), (second, second_basis) = _parts(one), _parts(other)
    return first == second and (not (first_basis and second_basis) or first_basis == second_basis)


def _parts(method: str) -> tuple[list[str], list[str]]:
    """Words of the method in their order, and those that are basis sets."""
    words = _words(method)
    basis = [word for word in words if _BASIS.match(word)]
    return [word for word in words if word not in basis], basis


def _terms(method: str) -> set[str]:
    return set(_words(method))


def _words(method: str) -> list[str]:
    bare = method.rsplit(":", 1)[-1].lower()
    return [word for word in bare.replace(",", "/").replace(" ", "/").split("/") if word]
