"""What the force field before a round said of the labels that the round bought, arm by arm.

Read from the run folder: `rounds/N/choice.npz` names what was wanted and by which arm, the frames
what came of it, and the round before its force fields. Those imitate the target, so on labels of
the tier below the difference between the methods is part of the error, in both arms alike.

Legend: `F` new frames of a round. Errors in kcal/mol/Å, mean over a frame's force components.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.choosing.arms import ArmsCompared, compare_arms, errors_before
from forgefield.platform.choosing.picking import Arm
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.rounds.choices import Choice, jobs_of, load_choice, of_tier
from forgefield.platform.rounds.documents import RoundFolder
from forgefield.platform.rounds.supply import DEAR
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.records import Array, Method, Tier
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.data import with_forces
from forgefield.trainers.uncertainty import Committee


@dataclass(frozen=True, slots=True, eq=False)
class RoundArms:
    """A round's new frames of a tier, and how many it `wanted`: others failed or are to come."""

    number: int
    tier: Tier
    errors_F: Array
    arms_F: tuple[Arm, ...]
    compared: ArmsCompared
    wanted: int

    def of(self, arm: Arm) -> Array:
        """Errors of one arm."""
        mask_F = np.array([each is arm for each in self.arms_F], dtype=bool)
        return np.asarray(self.errors_F[mask_F])


def round_arms(facts: Facts) -> tuple[RoundArms, ...]:
    """Every round after the first whose force fields are still there, tier by tier."""
    if facts.plan is None or facts.frames is None:
        return ()
    frames = facts.frames.select(with_forces(facts.frames))
    found: list[RoundArms] = []
    for before in facts.rounds:
        place = RoundFolder.of(facts.folder, before.number)
        members = _members(place.root, before.members)
        choice = load_choice(RoundFolder.of(facts.folder, before.number + 1).choice) or ()
        for tier in DEAR if members else ():
            wanted = of_tier(choice, tier)
            new = _labelled(facts.plan, frames.of_tier(tier), wanted)
            if new is not None:
                found.append(_judged(members, before.number + 1, tier, len(wanted), *new))
    return tuple(found)


def _labelled(plan: Plan, frames: Frames, wanted: Choice) -> tuple[Frames, tuple[Arm, ...]] | None:
    """The wanted labels that are there, and the arm of each; None where none is."""
    methods = {quote.tier: Method(quote.tier, quote.method) for quote in plan.tiers}
    place_of = {key: place for place, key in enumerate(hex_keys(frames.key_F))}
    jobs = jobs_of(wanted, plan.molecule.to_record(), methods)
    places = [(place_of.get(job.key()), w.arm) for job, w in zip(jobs, wanted, strict=True)]
    done = [(place, arm) for place, arm in places if place is not None]
    if not done:
        return None
    return frames.select(np.array([place for place, _ in done])), tuple(arm for _, arm in done)


def _judged(
    members: Sequence[ForceField],
    number: int,
    tier: Tier,
    wanted: int,
    new: Frames,
    arms_F: tuple[Arm, ...],
) -> RoundArms:
    errors_F = errors_before(members[0], new)
    spread_F = Committee(tuple(members)).judge(new).worst_F if len(members) > 1 else None
    compared = compare_arms(errors_F, arms_F, spread_F)
    return RoundArms(number, tier, errors_F, arms_F, compared, wanted)


def _members(root: Path, names: Sequence[str]) -> list[ForceField]:
    """The committee; empty where the first, whose errors are meant, is gone."""
    places = [root / name for name in names]
    there = [place for place in places if (place / "force_field.json").exists()]
    return [ForceField.load(place) for place in there] if there[:1] == places[:1] else []
