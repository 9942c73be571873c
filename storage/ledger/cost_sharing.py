"""How one charge for a batch is shared among its labels: exact integers, nothing lost."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from forgefield.storage.records import Label, Outcome
from forgefield.storage.units import to_micro


def share_cost(charged_micro: int, outcomes: Sequence[Outcome]) -> list[int]:
    """Each outcome's share of `charged_micro`; the shares sum to it exactly.

    Labels pay in proportion to the wall time × threads they report. Where some outcomes failed,
    labels pay just that and the failures share the rest, since nobody knows more about them.
    """
    own = [_reported_micro(outcome) for outcome in outcomes]
    failed = [0 if isinstance(outcome.result, Label) else 1 for outcome in outcomes]
    if any(failed) and sum(own) < charged_micro:
        rest = apportion(charged_micro - sum(own), failed)
        return [mine + extra for mine, extra in zip(own, rest, strict=True)]
    return apportion(charged_micro, own if sum(own) else [1] * len(outcomes))


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Integers in proportion to `weights` (≥ 0, not all 0) that sum to `total`."""
    whole = sum(weights)
    edges = [total * upto // whole for upto in accumulate(weights, initial=0)]
    return [high - low for low, high in pairwise(edges)]


def _reported_micro(outcome: Outcome) -> int:
    if not isinstance(outcome.result, Label):
        return 0
    core_seconds = outcome.result.provenance.wall_s * outcome.result.provenance.threads
    return to_micro(core_seconds) if math.isfinite(core_seconds) and core_seconds > 0 else 0
