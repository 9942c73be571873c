"""Budgets as people write them, and what they are worth in core-seconds.

A budget is a number and a unit: `250ccsd` (250 times the calibrated cost of one target-tier
label with forces of this molecule), `2000dft`, `40cpuh`, `3gpuh` or `$120`. The ledger counts
one currency, micro core-seconds; GPU hours and dollars are exchanged at the recipe's prices.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR, to_micro

FORMS = "250ccsd, 2000dft, 40cpuh, 3gpuh or $120"
LEAST, LARGEST = Decimal(10) ** -6, Decimal(10) ** 9
MOST_CORE_SECONDS = 1e18
ROUNDING = 1e-6
_PATTERN = re.compile(
    r"(?P<minus>-)?(?P<dollars>\$)?(?P<amount>[0-9]{1,12}(?:\.[0-9]{1,12})?(?:e[-+]?[0-9]{1,3})?)"
    r"(?P<unit>ccsd|dft|cpuh|gpuh)?"
)


class Prices(Document):
    """What a core-hour and a GPU-hour cost, in dollars."""

    core_hour: float = Field(0.04, ge=1e-6, le=1e6)
    gpu_hour: float = Field(2.50, ge=1e-6, le=1e6)


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount of `unit`, one of `ccsd`, `dft`, `cpuh`, `gpuh` and `$`."""

    amount: float
    unit: str

    def __str__(self) -> str:
        """Written as it is parsed: `250ccsd`, `$120`."""
        plain = f"{self.amount:.6f}".rstrip("0").rstrip(".")
        return f"${plain}" if self.unit == "$" else f"{plain}{self.unit}"


def parse_budget(text: str) -> Budget:
    """Read a budget such as `250ccsd` or `$120`; raises `InputError` with the known forms."""
    match = _PATTERN.fullmatch(text.strip().lower())
    if match is None or bool(match["dollars"]) == bool(match["unit"]):
        raise InputError(f"{text[:60]!r} is not a budget. Write it like {FORMS}.")
    amount = Decimal(match["amount"])
    if match["minus"] or not LEAST <= amount <= LARGEST:
        raise InputError(
            f"A budget must be above 0 (at least {LEAST:f}) and at most {LARGEST:.0e}; "
            f"{text[:60]!r} is not."
        )
    return Budget(float(round(amount, 6)), match["unit"] or "$")


def is_budget(text: str) -> bool:
    """Whether this is written as a budget; it may be more than anyone may ask for."""
    match = _PATTERN.fullmatch(text)
    known = match is not None and bool(match["dollars"]) != bool(match["unit"])
    return match is not None and known and not match["minus"]


def rounded_up(amount: float, digits: int = 2) -> float:
    """So many significant digits, never less."""
    size = 10.0 ** (math.floor(math.log10(amount)) + 1 - digits)
    return float(f"{math.ceil(amount / size - ROUNDING) * size:.6g}")


def unit_core_seconds(unit: str, label_cost: Mapping[Tier, float], prices: Prices) -> float:
    """Core-seconds that one `unit` buys; `label_cost` is core-seconds a label by tier."""
    if unit in (Tier.CCSD, Tier.DFT):
        return label_cost[Tier(unit)]
    if unit == "cpuh":
        return float(CORE_SECONDS_PER_CORE_HOUR)
    dollars = prices.gpu_hour if unit == "gpuh" else 1.0
    return dollars / prices.core_hour * CORE_SECONDS_PER_CORE_HOUR


def worth_micro(budget: Budget, label_cost: Mapping[Tier, float], prices: Prices) -> int:
    """The whole budget in micro core-seconds; raises `InputError` for more than can be counted."""
    core_seconds = budget.amount * unit_core_seconds(budget.unit, label_cost, prices)
    if not core_seconds < MOST_CORE_SECONDS:
        raise InputError(
            f"A budget of {budget} is worth {core_seconds:.3g} core-seconds, which is years of "
            f"every computer there is. Give one that can be spent, such as 250ccsd."
        )
    return to_micro(core_seconds)
