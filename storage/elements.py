"""Symbols of the elements by atomic number, `X`, number 0, is no element; formulas of them."""

from collections import Counter
from collections.abc import Sequence

_TABLE = """
X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er
Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md
No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS: tuple[str, ...] = tuple(_TABLE.split())


def hill(numbers: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Symbols and counts in Hill's order: carbon and its hydrogen, then the alphabet."""
    counts = Counter(SYMBOLS[number] for number in numbers)
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    return tuple((s, counts[s]) for s in (*first, *sorted(set(counts) - set(first))))


def formula(numbers: Sequence[int], charge: int = 0) -> str:
    """Hill's formula with the charge at its end: `CH3`, `O22-`, `H4N+`."""
    sign = "+" if charge > 0 else "-"
    size = str(abs(charge)) if abs(charge) > 1 else ""
    symbols = "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in hill(numbers))
    return symbols + (f"{size}{sign}" if charge else "")
