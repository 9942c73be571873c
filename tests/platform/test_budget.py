"""Budgets: what is read, what is refused, and what a unit is worth."""

import pytest

from forgefield.platform.planning.budget import Budget, Prices, parse_budget, worth_micro
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier
from forgefield.storage.units import from_micro, to_micro

COST = {Tier.EMPIRICAL: 1e-5, Tier.XTB: 1e-3, Tier.DFT: 2.0, Tier.CCSD: 16.0}
PRICES = Prices(core_hour=0.05, gpu_hour=2.0)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("250ccsd", 250, "ccsd"),
        ("2000dft", 2000, "dft"),
        ("40cpuh", 40, "cpuh"),
        ("0.5gpuh", 0.5, "gpuh"),
        ("$120", 120, "$"),
        (" 20CCSD ", 20, "ccsd"),
        ("1.5e3ccsd", 1500, "ccsd"),
    ],
)
def test_known_forms_are_read_and_written_back(text: str, amount: float, unit: str) -> None:
    budget = parse_budget(text)
    assert budget == Budget(amount, unit)
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ccsd",
        "250",
        "250 ccsd",
        "-5ccsd",
        "0ccsd",
        "1e30ccsd",
        "nan",
        "$5ccsd",
        "$",
        "٣ccsd",
        "9" * 400 + "ccsd",
        "1000000001ccsd",
        "20ccsd; rm -rf /",
    ],
)
def test_anything_else_is_refused_with_the_known_forms(text: str) -> None:
    with pytest.raises(InputError, match=r"250ccsd|above 0") as caught:
        parse_budget(text)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "core_seconds"),
    [
        ("20ccsd", 320),
        ("20dft", 40),
        ("2cpuh", 7200),
        ("1gpuh", 2.0 / 0.05 * 3600),
        ("$1", 1 / 0.05 * 3600),
    ],
)
def test_worth_in_micro_core_seconds(text: str, core_seconds: float) -> None:
    assert worth_micro(parse_budget(text), COST, PRICES) == pytest.approx(core_seconds * 1e6, abs=1)


def test_micro_core_seconds_survive_a_round_trip() -> None:
    assert all(to_micro(from_micro(amount)) == amount for amount in range(0, 3_000_000, 7))
    assert to_micro(1.0000001) == 1_000_001
