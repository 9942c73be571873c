"""What an arm of the comparison came to, as lines of JSON, and a table for people.

Errors are kcal/mol/Å on test frames that nothing saw, money is in target-tier labels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

BudgetOf = Mapping[float, float]
"""Error by what was spent for it."""


class Compared(BaseModel):
    """One force field: what it cost, what that bought, and its error.

    `spent` holds everything that was bought; `labels` counts by tier and purpose. Of campaigns
    `forecast` is the plan's (10, 50, 90 %), `rounds` how many were trained, `why` why they ended.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    seed: int
    arm: str
    budget: float
    note: str = ""
    spent: float = 0.0
    labels: dict[str, int] = {}
    error: float = 0.0
    scratch: float | None = None
    frames: int = 0
    rounds: int = 0
    forecast: tuple[float, float, float] | None = None
    why: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """What makes it this one."""
        return f"{self.system} {self.seed} {self.arm}{self.note} {self.budget:g}"

    def words(self) -> str:
        """All of it in a line."""
        bought = ", ".join(f"{name} {count}" for name, count in self.labels.items())
        return (
            f"{self.key}: {self.error:.3f} for {self.spent:.1f} ({bought}) in {self.seconds:.0f} s"
        )


def append(path: Path, record: Compared) -> None:
    """One more line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(record.model_dump_json() + "\n")


def read(path: Path) -> dict[str, Compared]:
    """Records of a log by their keys, later lines instead of earlier ones."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = (Compared.model_validate_json(line) for line in lines if line.endswith("}"))
    return {record.key: record for record in records}


def write(path: Path, records: Sequence[Compared]) -> None:
    """All of them as one file of JSON."""
    lines = ",\n".join(r.model_dump_json(exclude_defaults=True) for r in records)
    path.write_text(f'{{"records": [\n{lines}\n]}}\n', encoding="utf-8")


def table(records: Sequence[Compared]) -> str:
    """Every arm, and the share of the fixed arms' money that campaigns need for their errors."""
    lines = ["| system, seed | arm | budget | spent | labels | error | / fixed | / target |"]
    lines.append("|---" * 8 + "|")
    for system, seed in dict.fromkeys((record.system, record.seed) for record in records):
        own = [record for record in records if (record.system, record.seed) == (system, seed)]
        bars = {r.arm: r.error for r in own if r.arm != "ours"}
        lines += [_row(record, bars) for record in own]
    return "\n".join([*lines, "", *_shares(records)])


def _row(record: Compared, bars: Mapping[str, float]) -> str:
    bought = ", ".join(f"{count} {name}" for name, count in record.labels.items())
    ratios = (record.error / bars.get(arm, np.nan) for arm in ("fixed", "target"))
    shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
    return (
        f"| {record.system}, {record.seed} | {record.arm}{record.note} | {record.budget:.0f} | "
        f"{record.spent:.1f} | {bought} | {record.error:.3f} | {shown} |"
    )


def _shares(records: Sequence[Compared]) -> list[str]:
    lines = []
    for system, seed, note in dict.fromkeys((r.system, r.seed, r.note) for r in records):
        own = [r for r in records if (r.system, r.seed) == (system, seed)]
        ours = {r.spent: r.error for r in own if r.arm == "ours" and r.note == note}
        for bar in (r for r in own if r.arm != "ours" and ours):
            share = share_for(bar.error, {spent / bar.spent: e for spent, e in ours.items()})
            lines.append(
                f"{system}, {seed}{note}: the error of `{bar.arm}` for {share} of its money"
            )
    return lines


def share_for(error: float, seen: BudgetOf) -> str:
    """The share of the money at which a line through (ln share, ln error) meets `error`.

    Beyond what was measured only a bound is said.
    """
    spent = np.array(sorted(seen))
    errors = np.minimum.accumulate([seen[each] for each in spent])
    if error >= errors[0]:
        return f"≤ {100 * spent[0]:.0f} %"
    if error < errors[-1]:
        return f"> {100 * spent[-1]:.0f} %"
    return f"{100 * np.exp(np.interp(-np.log(error), -np.log(errors), np.log(spent))):.0f} %"
