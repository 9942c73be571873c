"""How good a quote was: what a plan said against what its campaign did.

Pure: plan, ledger's state, timeline and result in, one document out. Costs in core-seconds, times
in seconds, errors in kcal/mol/Å (mean absolute error of force components).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from forgefield.platform.forecasting.error_model import on_frames
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.quote_parts import ErrorForecast
from forgefield.platform.results import Result
from forgefield.platform.run_spans import seconds_of, spans_of
from forgefield.platform.status import Status
from forgefield.storage.documents import Document
from forgefield.storage.records import Tier

LABELLING, TRAINING = ("calibration", "labelling"), ("training",)


class TierLesson(Document):
    """Labels and core-seconds of one tier: quoted, and as they came; `failed` ones are charged."""

    tier: Tier
    method: str
    planned: int
    bought: int
    failed: int
    planned_cost: float
    spent: float


class ErrorLesson(Document):
    """The error that was forecast (10, 50, 90 %; None: no forecast) and the one measured (95 %).

    The forecast is of what so many frames measure, so it is wider than the plan's.
    `log_ratio` is ln(median forecast / measured); `inside` says whether the 80 % band held.
    """

    forecast: ErrorForecast | None
    measured: float
    low: float
    high: float
    frames: int
    log_ratio: float | None
    inside: bool | None


class Rehearsed(Document):
    """A rehearsal's outcome; `own_costs` where labels were charged what they really took.

    `wall_s` is what labelling took and `planned_wall_s` what was quoted for it; at quoted prices
    the one says nothing of the other, since labels take only their stand-in's time. The trainings
    of rounds count as training, although some labels come meanwhile. `effort` is how long it
    trained, in multiples of the recipe's steps, `real_effort` how long the real run does.
    """

    kind: Literal["rehearsal"] = "rehearsal"
    target: str
    own_costs: bool
    tiers: tuple[TierLesson, ...]
    cap: float
    planned_cost: float
    spent: float
    planned_wall_s: float | None
    wall_s: float
    training_s: float
    effort: float = 1.0
    real_effort: float = 1.0
    error: ErrorLesson
    result: Result


def lessons(
    plan: Plan,
    status: Status,
    events: Sequence[Mapping[str, Any]],
    result: Result,
    trained_s: float = 0.0,
    real_effort: float = 1.0,
) -> Rehearsed:
    """The comparison of a plan with its campaign, whose rounds have trained for `trained_s`.

    `real_effort` is the length of the training in the run that this one rehearses.
    """
    posing, spans = plan.recipe.posing.of(TARGET), spans_of(events)
    return Rehearsed(
        target=plan.tier(TARGET).method,
        own_costs=posing is None or posing.price is None,
        tiers=tuple(_tier(tier, plan, status) for tier in Tier),
        cap=plan.cap,
        planned_cost=plan.cost,
        spent=status.spent,
        planned_wall_s=plan.wall[0].seconds if plan.wall else None,
        wall_s=max(seconds_of(spans, LABELLING) - trained_s, 0.0),
        training_s=seconds_of(spans, TRAINING) + trained_s,
        effort=plan.training_effort,
        real_effort=real_effort,
        error=_error(plan, result),
        result=result,
    )


def _tier(tier: Tier, plan: Plan, status: Status) -> TierLesson:
    quote = plan.tier(tier)
    row = next(row for row in status.tiers if row.tier == tier)
    return TierLesson(
        tier=tier,
        method=quote.method,
        planned=quote.total,
        bought=row.done,
        failed=row.failed,
        planned_cost=quote.cost,
        spent=row.spent,
    )


def _error(plan: Plan, result: Result) -> ErrorLesson:
    measured, frames = result.evaluation.force_field, result.evaluation.frames
    settings = plan.recipe.forecast
    forecast = plan.forecast and ErrorForecast.of(on_frames(plan.forecast, frames, settings))
    return ErrorLesson(
        forecast=forecast,
        measured=measured.force_mae,
        low=measured.low,
        high=measured.high,
        frames=frames,
        log_ratio=math.log(forecast.median / measured.force_mae) if forecast else None,
        inside=forecast.low <= measured.force_mae <= forecast.high if forecast else None,
    )
