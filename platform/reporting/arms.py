"""The section about what choosing brought: errors on chosen frames against random ones."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from forgefield.platform.choosing.arms import ArmResult
from forgefield.platform.choosing.picking import Arm
from forgefield.platform.drawing.figures import (
    FORCE_FIELD,
    SOFT,
    Picture,
    blank,
    picture,
    plain_numbers,
)
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.reporting.arm_errors import RoundArms
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import DASH, Section, Table, count, percent
from forgefield.platform.reporting.strata import Stratum, difference_within, relative_difference
from forgefield.platform.screen.wording import UNIT, digits
from forgefield.trainers.evaluation import Interval

COLOUR = {Arm.RANDOM: SOFT, Arm.CHOSEN: FORCE_FIELD}
SHIFT = {Arm.RANDOM: -0.17, Arm.CHOSEN: 0.17}
TITLE = "Chosen against random"
MINUS = "−"


def arms_section(facts: Facts, arms: Sequence[RoundArms]) -> Section | None:
    """What each arm brought; None for a campaign that doesn't go in rounds."""
    if not facts.rounds:
        return None
    if not arms:
        missing = "No round after the first has labels yet, or its force fields are gone."
        return Section("arms", TITLE, missing=missing)
    lead = (
        "At least half of a later round's labels are drawn at random, the others where the "
        "committee disagreed most. The force field before the round, which has seen none of them, "
        "shows which of the target tier were harder for it. "
    )
    return Section("arms", TITLE, lead + together(arms), (_picture(arms),), (_table(arms),))


def together(arms: Sequence[RoundArms]) -> str:
    """The verdict over the target-tier labels of all rounds, in a sentence or two.

    Errors on labels below it are mostly the difference of the methods, which no choice is for.
    """
    own = [each for each in arms if each.tier is TARGET]
    if not own:
        return "No round has labels of the target tier to tell by."
    strata: list[Stratum] = [(each.of(Arm.CHOSEN), each.of(Arm.RANDOM)) for each in own]
    found = difference_within(strata)
    if found is None or len(own) == 1:
        return max(own, key=lambda each: len(each.errors_F)).compared.sentence().replace("-", MINUS)
    ends = f"95 %: {plus(found.low)} to {plus(found.high)}"
    rounds = count(len(own), "round")
    if found.low <= 0 <= found.high:
        return (
            f"Over {rounds} choosing found no frames that are harder than chance's beyond doubt: "
            f"{plus(found.value)} {UNIT} ({ends})."
        )
    share = relative_difference(strata)
    word = "harder" if found.value > 0 else "easier"
    said = f"Over {rounds} the chosen frames were {word}: {plus(found.value)} {UNIT} ({ends}), "
    said += f"{percent(abs(share))} {'more' if share > 0 else 'less'} than the random ones."
    return said + ("" if found.value > 0 else " Choosing didn't do what it is for.")


def _table(arms: Sequence[RoundArms]) -> Table:
    head = ("round", "labels", "random", "chosen", "difference", "they are", "rank corr.")
    rows = tuple(_row(each) for each in arms)
    note = (
        f"Mean force errors in {UNIT}, on so many frames. Rank correlation (Spearman): of the "
        "committee's disagreement with the error, over both arms; 1 is a committee that knows."
    )
    if any(each.tier is not TARGET for each in arms):
        note += " Below the target tier errors contain the difference of the methods, in both arms,"
        note += " so the verdict leaves those labels out."
    return Table(head, rows, note=note)


def _row(each: RoundArms) -> tuple[str, ...]:
    found, number = each.compared, len(each.errors_F)
    gap = found.difference_kcal
    labels = f"{number}" if number == each.wanted else f"{number} of {each.wanted}"
    rank = found.rank_correlation
    return (
        f"{each.number}, {each.tier}",
        labels,
        _result(found.random),
        _result(found.chosen),
        _signed(gap),
        found.verdict,
        plus(rank) if np.isfinite(rank) else DASH,
    )


def _result(found: ArmResult | None) -> str:
    return DASH if found is None else f"{digits(found.error_kcal.value)} on {found.frames:,}"


def _signed(gap: Interval) -> str:
    if not np.isfinite(gap.value):
        return DASH
    if not np.isfinite(gap.low):
        return plus(gap.value)
    return f"{plus(gap.value)} ({plus(gap.low)} to {plus(gap.high)})"


def plus(value: float) -> str:
    """A number with its sign."""
    return f"{value:+.2f}".replace("-", MINUS)


def _picture(arms: Sequence[RoundArms]) -> Picture:
    """Every frame a dot, the arm's mean with its interval beside them."""
    figure = blank(2.9)
    axes = figure.subplots()
    said, named = [], set()
    for place, each in enumerate(arms):
        for arm, found in ((Arm.RANDOM, each.compared.random), (Arm.CHOSEN, each.compared.chosen)):
            if found is not None:
                _arm(axes, place + SHIFT[arm], each.of(arm), found, label=arm not in named)
                named.add(arm)
                what = f"round {each.number} {each.tier} {arm}"
                said.append(f"{what} {digits(found.error_kcal.value)}")
    axes.set_yscale("log")
    plain_numbers(axes)
    axes.set_xticks(range(len(arms)), [f"round {each.number}, {each.tier}" for each in arms])
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(f"force error before, {UNIT}")
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0)
    caption = "Dots are frames, on a logarithmic axis; beside them their mean with its 95 % "
    caption += "interval."
    return picture(figure, "arms", f"Errors by arm: {', '.join(said)} {UNIT}.", caption)


def _arm(axes: Axes, x: float, errors_F: np.ndarray, found: ArmResult, *, label: bool) -> None:
    colour, error = COLOUR[found.arm], found.error_kcal
    spread = 0.1 * (np.argsort(np.argsort(errors_F)) * 0.618 % 1 - 0.5)
    axes.plot(x - 0.05 + spread, errors_F, "o", ms=3, mew=0, color=colour, alpha=0.4)
    low = max(error.low, 0.5 * float(errors_F.min()))
    bars = [[error.value - low], [error.high - error.value]]
    bars = bars if np.isfinite(error.high) else [[np.nan], [np.nan]]
    axes.errorbar(
        [x + 0.09], [error.value], bars, fmt="o", ms=6, color=colour, elinewidth=1.2, capsize=3,
        label=f"{found.arm}" if label else None,
    )  # fmt: skip
