"""Who poses as whom in a rehearsal: every method of the recipe plays a part above its own tier.

With `xtb` in the lead the method of that tier poses as the target's, the one below it as the middle
tier's, and so on; UFF plays what is left. Pure: a request in, the request of its rehearsal out.
"""

from collections.abc import Mapping
from dataclasses import replace

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.recipe import Methods, Recipe
from forgefield.platform.planning.request import Request
from forgefield.platform.replaying.parts import Lead
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.stand_in_names import posing_name
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier

UNDERSTUDY = "UFF"
"""Plays the parts below the ladder."""


def cast(methods: Methods, lead: Lead) -> dict[str, str]:
    """The posing method of every tier."""
    ladder = tuple(Tier)
    steps = ladder.index(TARGET) - ladder.index(Tier(lead.value))
    actors = [UNDERSTUDY] * steps + [methods.of(tier) for tier in ladder]
    return {
        tier.value: posing_name(actor, methods.of(tier))
        for tier, actor in zip(ladder, actors, strict=False)
    }


def rehearsal_of(request: Request, lead: Lead, quoted: Mapping[Tier, float] | None) -> Request:
    """The request with posing methods, at `quoted` core-seconds a label or at their own cost.

    It has a folder of its own and shares no labels. Raises `InputError` where the recipe's methods
    stand in for others already.
    """
    recipe = request.recipe
    if recipe.has_stand_ins:
        raise InputError(
            "The recipe's labels are replayed or pose already, so there is nothing to rehearse. "
            "`platform run` takes it as it is."
        )
    prices = {tier.value: {"price": quoted[tier] if quoted else None} for tier in Tier}
    said = recipe.model_dump() | {"methods": cast(recipe.methods, lead), "posing": prices}
    said["labels"] |= {"book": ""}
    return replace(request, recipe=Recipe.model_validate(said))


def rehearsal_folder(folder: RunFolder) -> RunFolder:
    """Where the rehearsal of a run goes: beside it."""
    return RunFolder(folder.root.with_name(f"{folder.root.name}-rehearsal"))
