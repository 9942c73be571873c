"""Target errors: what is read, in which unit, and what is refused."""

import pytest

from forgefield.platform.planning.targets import parse_target
from forgefield.storage.errors import InputError

KCAL_PER_MOL_OF_1_EV = 23.0605


@pytest.mark.parametrize(
    "text",
    [
        "0.3kcal",
        "0.3 kcal",
        " .3KCAL ",
        "0.3kcal/mol",
        "0.3kcal/mol/Å",
        "0.3kcal/mol/\u212b",
        "0.3kcal/mol/A\u030a",
        "0.3kcal/mol/A",
        "0.3kcal/Å",
    ],
)
def test_kilocalories_are_taken_as_they_are(text: str) -> None:
    assert parse_target(text) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "ev"), [("13meV", 0.013), ("13 meV/Å", 0.013), ("0.013eV/ang", 0.013), ("1ev", 1.0)]
)
def test_electronvolts_are_converted(text: str, ev: float) -> None:
    assert parse_target(text) == pytest.approx(ev * KCAL_PER_MOL_OF_1_EV, rel=1e-5)


@pytest.mark.parametrize(
    "text",
    ["", "0.3", "kcal", "0.3kJ", "-0.3kcal", "0kcal", "nan kcal", "1e-3kcal", "0.3kcal/mol/nm",
     "0.0001kcal", "101kcal", "5000meV", "9" * 400 + "kcal", "٣kcal"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_next_step(text: str) -> None:
    with pytest.raises(InputError, match=r"0\.3kcal|between 0\.001 and 100") as caught:
        parse_target(text)
    assert len(str(caught.value)) < 250
