"""Making a round's choice: half at random, half where the committee just trained disagrees.

The random arm begins with what is paid ahead, all of it, and goes on in the pool's own order; it
needs no model. The chosen arm takes configurations of the pool and explored ones, those of a
replayed tier from its file alone. Hold-out and validation geometries, and all that are alike to
them, are barred; nor does exploring start from them.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.platform.choosing.candidates import Explored
from forgefield.platform.choosing.exploring import explore
from forgefield.platform.choosing.picking import Arm, choose
from forgefield.platform.choosing.settings import ExploreSettings
from forgefield.platform.choosing.shapes import shape_features
from forgefield.platform.choosing.surfaces import calibrated_alarm
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.own_frames import FITTED
from forgefield.platform.rounds.choices import Choice, Wanted, at_random, of_tier
from forgefield.platform.rounds.policy import random_half
from forgefield.platform.rounds.supply import DEAR, Supply
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Molecule, Purpose, Tier
from forgefield.trainers.force_field import ForceField


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that a choice follows from; `frames` are those trained on, `taken` keys of jobs.

    `ahead` was wanted for the round before it was chosen and `paid` is what was bought of that.
    `from_file` are the tiers whose labels come from a file; `check` may raise while exploring.
    """

    molecule: Molecule
    supply: Supply
    frames: Frames
    members: tuple[ForceField, ...]
    settings: ExploreSettings
    taken: frozenset[str]
    ahead: Choice
    seed: int
    paid: Choice = ()
    from_file: frozenset[Tier] = frozenset()
    check: Callable[[], None] = lambda: None


def random_choice(supply: Supply, buy: Counts, taken: frozenset[str]) -> Choice:
    """Training labels of target and middle tier at random, before any model is there."""
    counts = {TARGET: buy.target, MIDDLE: buy.middle}
    return tuple(w for tier in DEAR for w in at_random(supply.jobs[tier], taken, counts[tier]))


def round_choice(
    scene: Scene, buy: Counts, hear: Callable[[Choice], None] = lambda _: None
) -> Choice:
    """What a round labels, both arms; labels bought ahead are part of it.

    `hear` is told the random arm, which takes no time to find, before exploring begins.
    """
    counts = {TARGET: buy.target, MIDDLE: buy.middle}
    random = {tier: _random_arm(scene, tier, counts[tier]) for tier in DEAR}
    hear(tuple(each for tier in DEAR for each in random[tier]))
    seen: dict[bool, Explored] = {}
    choice: list[Wanted] = []
    for tier in DEAR:
        drawn = random[tier]
        left = counts[tier] - len(drawn)
        best: list[Wanted] = []
        if left > 0:
            free = tier not in scene.from_file
            if free not in seen or not free:
                seen[free] = _explored(scene, tier, free=free)
            best = _chosen_arm(scene, tier, seen[free], drawn, left)
        choice += [*drawn, *best, *_instead(scene, tier, [*drawn, *best], left - len(best))]
    return tuple(choice)


def _instead(scene: Scene, tier: Tier, wanted: Sequence[Wanted], missing: int) -> Choice:
    """Random ones where too few candidates were worth choosing."""
    known = {each.positions_A3.tobytes() for each in wanted}
    jobs = (
        job
        for job in scene.supply.jobs[tier]
        if job.configuration.positions_A3.tobytes() not in known
    )
    return at_random(jobs, scene.taken, max(0, missing))


def _random_arm(scene: Scene, tier: Tier, count: int) -> Choice:
    half, paid = random_half(count), of_tier(scene.paid, tier)
    ahead = of_tier(scene.ahead, tier)[: max(0, half - len(paid))]
    more = max(0, half - len(paid) - len(ahead))
    return (*paid, *ahead, *at_random(scene.supply.jobs[tier], scene.taken, more))


def _explored(scene: Scene, tier: Tier, *, free: bool) -> Explored:
    """Candidates: of the pool what is free at this tier, and where the model goes by itself."""
    settings = scene.settings
    if not free:
        settings = settings.model_copy(update={"walkers": 0, "modes": 0})
    starts = scene.frames.of_tier(TARGET).of_purpose(*FITTED)
    validation = scene.frames.of_purpose(Purpose.VALIDATION).of_tier(TARGET)
    return explore(
        scene.members,
        scene.molecule,
        _stacked(scene.molecule, _geometries(starts)),
        settings,
        scene.seed,
        alarm=calibrated_alarm(scene.members, validation, settings.alarm_factor),
        pool_FA3=_stacked(scene.molecule, _free(scene, tier)),
        check=scene.check,
    )


def _chosen_arm(
    scene: Scene, tier: Tier, explored: Explored, drawn: Choice, count: int
) -> list[Wanted]:
    """Where disagreement times distance is largest; in an order that labels start warm in."""
    fitted = scene.frames.of_tier(tier).of_purpose(*FITTED)
    taken = [
        job.configuration.positions_A3
        for job in scene.supply.jobs[tier]
        if job.key() in scene.taken
    ]
    known = [*_geometries(fitted), *(each.positions_A3 for each in drawn)]
    judging = _geometries(scene.frames.of_purpose(Purpose.VALIDATION))
    picks = choose(
        _features(scene, explored.positions_FA3),
        explored.disagreement_F,
        _features(scene, known),
        count,
        barred_HD=_features(scene, [*scene.supply.kept, *judging, *taken]),
    )
    return [
        Wanted(
            tier,
            Arm.CHOSEN,
            str(explored.source_F[pick.place]),
            explored.positions_FA3[pick.place],
            float(explored.disagreement_F[pick.place]),
        )
        for pick in picks
    ]


def _free(scene: Scene, tier: Tier) -> list[Array]:
    free = (job for job in scene.supply.jobs[tier] if job.key() not in scene.taken)
    return [job.configuration.positions_A3 for job in itertools.islice(free, scene.settings.pool)]


def _geometries(frames: Frames) -> list[Array]:
    return [frames.positions_A3[frames.atoms_of(at)] for at in range(len(frames))]


def _features(scene: Scene, positions: Sequence[Array] | Array) -> Array:
    return shape_features(scene.molecule.numbers, _stacked(scene.molecule, positions))


def _stacked(molecule: Molecule, positions: Sequence[Array] | Array) -> Array:
    return np.asarray(positions, dtype=np.float64).reshape(-1, len(molecule.numbers), 3)
