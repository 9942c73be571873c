"""What calibration labels have cost, as records for later plans (`cost_store`).

Each label counts for the host, the threads and the program's version that its provenance names;
on a cluster they needn't be those of the driver. Costs in core-seconds.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.platform.planning.cost_store import CostRecord
from forgefield.platform.planning.quoting import composition, general_estimates
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.frames import Frames
from forgefield.storage.records import Molecule, Purpose, Tier


@dataclass(frozen=True, slots=True)
class Seen:
    """A label of a tier: what it cost, where it was made, and by which version of the program."""

    tier: Tier
    host: str
    threads: int
    core_seconds: float
    version: str = ""


def labels_seen(frames: Frames) -> list[Seen]:
    """The calibration labels among the frames that were paid for, not taken over."""
    own = frames.of_purpose(Purpose.CALIBRATION)
    own = own.select(np.flatnonzero(own.cost_F > 0))
    origin = own.provenance
    return [
        Seen(
            Tier(own.methods[method].tier),
            origin.hosts[host],
            int(threads),
            float(cost),
            origin.programs[program].version,
        )
        for method, host, threads, cost, program in zip(
            own.method_F,
            origin.host_F,
            origin.threads_F,
            own.cost_F,
            origin.program_F,
            strict=True,
        )
    ]


def cost_records(molecule: Molecule, recipe: Recipe, seen: Sequence[Seen]) -> list[CostRecord]:
    """One record a tier, host, number of threads and version; none of labels at stated prices."""
    groups: dict[tuple[Tier, str, int, str], list[float]] = {}
    for each in seen:
        if recipe.stand_in(each.tier) is None and each.threads > 0:
            place = each.tier, each.host, each.threads, each.version
            groups.setdefault(place, []).append(each.core_seconds)
    numbers = {threads for _, _, threads, _ in groups}
    predicted = {n: general_estimates(molecule, recipe, n) for n in numbers}
    return [
        CostRecord(
            host=host,
            method=recipe.methods.of(tier),
            version=version,
            threads=threads,
            molecule=composition(molecule),
            predicted=predicted[threads][tier].core_seconds,
            core_seconds=sum(costs) / len(costs),
            labels=len(costs),
            scatter=_scatter(costs),
            at=time.time(),
        )
        for (tier, host, threads, version), costs in groups.items()
    ]


def measured_before(found: Mapping[Tier, Sequence[float]], host: str, threads: int) -> list[Seen]:
    """Labels that earlier runs made here and that this one takes over, by a version unknown."""
    return [Seen(tier, host, threads, each) for tier, costs in found.items() for each in costs]


def _scatter(costs: Sequence[float]) -> float | None:
    """Sample deviation of ln cost, by the relative one of the cost."""
    if len(costs) == 1:
        return None
    return math.sqrt(math.log1p(float(np.var(costs, ddof=1) / np.mean(costs) ** 2)))
