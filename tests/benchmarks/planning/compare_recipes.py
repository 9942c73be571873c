"""What is compared, and the recipe of a replayed campaign: the same training in every arm.

Prices are stated, 40 middle-tier labels for one of the target, as in the ASTEROID paper; so a
campaign costs only its training. Money is in target-tier labels.
"""

from dataclasses import dataclass
from pathlib import Path

PRICE, RATIO = 4000.0, 40.0
"""Core-seconds of a target-tier label, and how much dearer it is than one of the middle tier."""
TEST, VALIDATION, TARGETS, MIDDLES = 500, 50, 200, 2000
WHOLE = TARGETS + VALIDATION + MIDDLES / RATIO
"""What the paper's fixed split costs with its validation labels, in target-tier labels."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files of one molecule: labels of the target and of the middle tier."""

    name: str
    molecule: str
    target: tuple[str, str]
    middle: tuple[str, str]
    unit: str


PAIRS = (
    Pair(
        "h2co",
        "formaldehyde",
        ("h2co_ccsdt_avtz_4001.npz", "CCSD(T)-F12B/aug-cc-pVTZ-F12"),
        ("h2co_B3LYP_cc-pVDZ_4001.npz", "B3LYP/cc-pVDZ"),
        "eV",
    ),
    Pair(
        "ethanol",
        "ethanol",
        ("ethanol_ccsd_t-train.npz", "CCSD(T)/cc-pVTZ"),
        ("rmd17_ethanol.npz", "PBE/def2-SVP"),
        "kcal/mol",
    ),
)


@dataclass(frozen=True, slots=True)
class Steps:
    """Length of the stages: those of the error grid."""

    standard: int = 600
    pretrain: int = 1500
    finetune: int = 250

    def times(self, effort: float) -> "Steps":
        """All of them shorter or longer."""
        each = (self.standard, self.pretrain, self.finetune)
        return Steps(*(max(20, round(effort * steps)) for steps in each))


RECIPE = """# {name}, seed {seed}
[sampling]
seed = {seed}

[allocation]
cheap_labels = 20               # nothing trains on them here

[training]
seed = {seed}
effort = 1.0
c_grid = ["unweighted"]
members = 1
curve = []
standard = {{ steps = {standard}, batch = 8, {common}, rate = 0.03 }}
finetune = {{ steps = {finetune}, batch = 8, {common}, rate = 0.006, warm_up = {warm_up} }}

[[training.pretrain]]
tiers = ["dft"]
fit = {{ steps = {pretrain}, batch = 8, {common}, rate = 0.04 }}

[replay]
test_frames = {test}

[replay.ccsd]
file = "{data}/{target[0]}"
method = "{target[1]}"
unit = "{unit}"
price = {price}

[replay.dft]
file = "{data}/{middle[0]}"
method = "{middle[1]}"
unit = "{unit}"
price = {cheaper}

{extra}
"""
COMMON = (
    'optimiser = "muon", final_rate = 0.001, weight_decay = 0.0, ema = 0.99, rho = 0.01, '
    "evaluate_every = 25, patience = 0"
)


def recipe_of(pair: Pair, seed: int, steps: Steps, data: Path, extra: str = "") -> str:
    """The recipe of all arms of a system and seed, as TOML; `extra` are lines at its end."""
    return RECIPE.format(
        name=pair.name,
        seed=seed,
        common=COMMON,
        standard=steps.standard,
        pretrain=steps.pretrain,
        finetune=steps.finetune,
        warm_up=min(50, steps.finetune // 5),
        test=TEST,
        data=data.resolve(),
        target=pair.target,
        middle=pair.middle,
        unit=pair.unit,
        price=PRICE,
        cheaper=PRICE / RATIO,
        extra=extra,
    )
