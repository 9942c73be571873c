"""Figures of the ASTEROID paper: force MAE on MD17@CCSD(T), kcal/mol/Å.

Source: arXiv 2306.03109, Tables 3 and 4, at the cost of 250 coupled-cluster labels, cheap ones at
40:1. All with GemNet, but for "standard" with EGNN. A molecule is known by its bonds.
"""

from collections.abc import Mapping

from forgefield.platform.benchmarking.kinds import Kind

RATIO, BUDGET = 40.0, 250
MOLECULES: Mapping[str, tuple[str, ...]] = {
    "aspirin": ("5ce9e3d59da729f1",),
    "benzene": ("4d0fb18be4082aef",),
    "malonaldehyde": ("b746b4d2c802aeb4", "f1df332b22824a28"),
    "toluene": ("d63c48ab75620ea4",),
    "ethanol": ("c27fda572385a986",),
}
"""Patterns of bonds (`bonds.Bonds.pattern`) in the order of the columns; keto and enol are one."""
_GEMNET: Mapping[str, tuple[float | None, ...]] = {
    Kind.STANDARD: (1.554, 0.074, 0.776, 0.566, 0.351),
    Kind.UNTUNED: (4.670, 3.252, 2.726, 3.342, 5.107),
    Kind.UNWEIGHTED: (1.095, 0.064, 0.347, 0.309, 0.183),
    Kind.FULL: (0.908, 0.059, 0.338, 0.306, 0.176),
    Kind.DELTA: (0.801, None, 0.182, 0.350, None),
    Kind.SGDML: (1.727, 0.097, 0.923, 0.478, 0.902),
}
_EGNN_STANDARD = (1.897, 0.297, 1.466, 0.777, 0.840)


def paper_value(name: str, budget: int | None, model: str, row: str) -> tuple[float, str] | None:
    """The paper's figure for a row and the model it is of, or `None` where it has none.

    `name` is the molecule's; there are none at another `budget`. Rows of other models stand beside
    GemNet's figures.
    """
    if name not in MOLECULES or budget != BUDGET:
        return None
    place = list(MOLECULES).index(name)
    if model == "egnn" and row == Kind.STANDARD:
        return _EGNN_STANDARD[place], "EGNN"
    value = _GEMNET.get(row, (None,) * len(MOLECULES))[place]
    if value is None:
        return None
    return value, "" if row == Kind.SGDML else "GemNet"


def name_of(pattern: str) -> str:
    """The paper's molecule with this pattern of bonds, or nothing."""
    return next((name for name, known in MOLECULES.items() if pattern in known), "")
