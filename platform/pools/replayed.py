"""The pool of a run whose labels come from files: one shuffled list of geometries a file.

No geometry is both trained on and measured with. The first places of the target's list are what it
calibrates on, is judged on and validates with; lists of other files leave those geometries out, in
any orientation, and so they do with the test frames. Test frames are in no list at all.
"""

from collections.abc import Iterator

import numpy as np

from forgefield.platform.foreign_labels.bonds import refuse_isomers
from forgefield.platform.foreign_labels.files import LabelledFile, refuse_unlike_forces
from forgefield.platform.foreign_labels.matching import refuse_opposed_forces, shared_by
from forgefield.platform.planning.allocation import TARGET, AllocationSettings
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.pools.pool import Pool
from forgefield.platform.stand_ins.recorded import kept, options_of_recipes, recorded
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Molecule, Tier

Places = list[int]


def replayed_pool(molecule: Molecule, recipe: Recipe) -> Pool:
    """All geometries of the files, by tier; raises `InputError` where files contradict."""
    replay, first = recipe.replay, recipe.replay.source(TARGET)
    files = {tier: file_of(tier, molecule, recipe) for tier in replay.tiers}
    _refuse_doubtful(files, first, recipe)
    places = _offered(files[first], molecule, recipe)
    judged = kept(files[first], places[: most_judged(recipe.allocation)])
    test = judging_frames(molecule, recipe)
    lists = {
        tier: _without(files[tier], shuffled(files[tier], recipe, tier), [judged, test])
        for tier in replay.tiers
        if tier is not first
    }
    positions_FA3 = files[first].positions_NA3[places]
    apart: dict[Tier, Array] = {}
    for tier in Tier:
        source = replay.source(tier)
        if source is not first:
            apart[tier] = files[source].positions_NA3[lists[source]]
    return Pool(molecule, positions_FA3, np.full(len(places), np.nan), apart)


def judging_frames(molecule: Molecule, recipe: Recipe) -> LabelledFile | None:
    """The frames that only the end is measured with; nothing where the recipe asks for none."""
    replay = recipe.replay
    target = replay.of(TARGET)
    if target is None:
        return None
    if replay.test is not None:
        return recorded(target.model_copy(update={"file": replay.test}), TARGET, molecule)
    if not replay.test_frames:
        return None
    file = file_of(TARGET, molecule, recipe)
    if replay.test_frames >= len(file):
        raise InputError(
            f"replay.test_frames = {replay.test_frames}, but {file.path} has {len(file)} distinct "
            "frames. Lower it, or give a file of test frames in replay.test."
        )
    return kept(file, shuffled(file, recipe, TARGET)[-replay.test_frames :])


def file_of(tier: Tier, molecule: Molecule, recipe: Recipe) -> LabelledFile:
    """The file that a tier is replayed from."""
    settings = recipe.replay.of(tier)
    if settings is None:
        raise InputError(f"The tier {tier} is not replayed; give replay.{tier} in the recipe.")
    return recorded(settings, tier, molecule)


def most_judged(settings: AllocationSettings) -> int:
    """Places at the start of the target's list that may calibrate, judge or validate."""
    calibration = max(settings.calibration(tier) for tier in Tier)
    holdout = max(settings.fewest_holdout, settings.most_holdout)
    return calibration + holdout + max(settings.fewest_validation, settings.most_validation)


def shuffled(file: LabelledFile, recipe: Recipe, tier: Tier) -> Places:
    """All places of a file in an order of its own, by the seed of the sampling."""
    seed = [recipe.sampling.seed, tuple(Tier).index(tier)]
    order: Places = np.random.default_rng(seed).permutation(len(file)).tolist()
    return order


def _offered(file: LabelledFile, molecule: Molecule, recipe: Recipe) -> Places:
    """The target's places: all but those of the test frames."""
    order = shuffled(file, recipe, file.method.tier)
    if recipe.replay.test is None:
        return order[: len(order) - recipe.replay.test_frames]
    return _without(file, order, [judging_frames(molecule, recipe)])


def _without(file: LabelledFile, order: Places, others: list[LabelledFile | None]) -> Places:
    """The places of a file, in this order, whose geometry no frame of `others` has."""
    seen = {
        int(place)
        for other in others
        if other is not None and len(other)
        for _, place in shared_by(other, file)
    }
    return [place for place in order if place not in seen]


def _refuse_doubtful(files: dict[Tier, LabelledFile], first: Tier, recipe: Recipe) -> None:
    """Files of one molecule have like forces, which point the same way where geometries agree."""
    for tier, file in _believing(files, first, recipe):
        with options_of_recipes(tier):
            refuse_isomers(files[first], file)
            refuse_unlike_forces(files[first], file)
            refuse_opposed_forces(files[first], file, shared_by(files[first], file))


def _believing(
    files: dict[Tier, LabelledFile], first: Tier, recipe: Recipe
) -> Iterator[tuple[Tier, LabelledFile]]:
    for tier, file in files.items():
        settings = recipe.replay.of(tier)
        if tier is not first and settings is not None and not settings.trust:
            yield tier, file
