"""What the force field before a round said of the labels that the round bought, arm by arm.

Read from the run folder: `rounds/N/choice.npz` names what was wanted and by which arm, the frames
what came of it, and the round before its force fields. Target tier alone: elsewhere the error of a
cheaper method would be mixed in.

Legend: `F` new frames of a round. Errors in kcal/mol/Å, mean over a frame's force components.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.choosing.arms import ArmsCompared, compare_arms, errors_before
from forgefield.platform.choosing.picking import Arm
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.rounds.choices import jobs_of, load_choice, of_tier
from forgefield.platform.rounds.documents import Round, RoundFolder
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.records import Array, Method
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.data import with_forces
from forgefield.trainers.uncertainty import Committee


@dataclass(frozen=True, slots=True, eq=False)
class RoundArms:
    """The new frames of round `number`, and how many it `wanted`: others failed or are to come."""

    number: int
    errors_F: Array
    arms_F: tuple[Arm, ...]
    compared: ArmsCompared
    wanted: int

    def of(self, arm: Arm) -> Array:
        """Errors of one arm."""
        return self.errors_F[np.array([each is arm for each in self.arms_F], dtype=bool)]


def round_arms(facts: Facts) -> tuple[RoundArms, ...]:
    """Every round with a choice of both arms whose force fields are still there."""
    if facts.plan is None or facts.frames is None:
        return ()
    frames = facts.frames.of_tier(TARGET)
    frames = frames.select(with_forces(frames))
    found = (_round(facts, facts.plan, frames, record) for record in facts.rounds)
    return tuple(each for each in found if each is not None)


def _round(facts: Facts, plan: Plan, frames: Frames, before: Round) -> RoundArms | None:
    number = before.number + 1
    choice = of_tier(load_choice(RoundFolder.of(facts.folder, number).choice) or (), TARGET)
    places = _members(RoundFolder.of(facts.folder, before.number).root, before.members)
    method = Method(TARGET, plan.tier(TARGET).method)
    jobs = jobs_of(choice, plan.molecule.to_record(), {TARGET: method})
    place_of = {key: place for place, key in enumerate(hex_keys(frames.key_F))}
    keys = [job.key() for job in jobs]
    done = [at for at, key in enumerate(keys) if key in place_of]
    if not (done and places):
        return None
    new = frames.select(np.array([place_of[keys[at]] for at in done]))
    members = [ForceField.load(place) for place in places]
    arms = tuple(choice[at].arm for at in done)
    errors_F = errors_before(members[0], new)
    compared = compare_arms(errors_F, arms, _disagreement(members, new))
    return RoundArms(number, errors_F, arms, compared, len(choice))


def _members(root: Path, names: Sequence[str]) -> list[Path]:
    """Folders of the committee; none where the first, whose errors are meant, is gone."""
    places = [root / name for name in names]
    there = [place for place in places if (place / "force_field.json").exists()]
    return there if there[:1] == places[:1] else []


def _disagreement(members: Sequence[ForceField], frames: Frames) -> Array | None:
    return Committee(tuple(members)).judge(frames).worst_F if len(members) > 1 else None
