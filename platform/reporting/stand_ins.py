"""What a report has to say of labels that aren't what they would be in a real campaign."""

from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.tier_quotes import TierQuote
from forgefield.platform.reporting.parts import listed
from forgefield.storage.records import Tier


def source_of_files(plan: Plan) -> str:
    """Where configurations came from that were not sampled; empty where they were."""
    files = [f"{found.method} in {found.file.name}" for found in plan.recipe.replay.files]
    if not files:
        return ""
    return (
        f"Configurations of {plan.molecule.name} and their labels were read from published files "
        f"({listed(files)}) and drawn at random; repeated geometries were dropped, and none that "
        "measures an error is trained on."
    )


def disclaimer(plan: Plan) -> str:
    """That prices or methods are not real; empty where all are."""
    recipe, said = plan.recipe, []
    if recipe.replay.tiers:
        prices = [f"{quote.core_seconds:g} for {quote.tier}" for quote in _priced(plan)]
        said.append(f"Replayed labels were charged a stated price (core-seconds: {listed(prices)})")
    elif recipe.has_stand_ins:
        said.append(
            "This was a rehearsal: labels called posing were computed by the first method of their "
            "name in the place of the second"
        )
        if _priced(plan):
            said.append("and charged what the second was quoted at")
    return f" {' '.join(said)}." if said else ""


def _priced(plan: Plan) -> list[TierQuote]:
    return [plan.tier(tier) for tier in Tier if plan.recipe.is_priced(tier)]
