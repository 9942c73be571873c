"""Waiting for labels: for all that are queued, and not for the slowest few that are at work.

Labels are of one kind by tier and purpose, and every kind is waited for by itself: cheap labels
that are there don't stand in for dear ones that are slow.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.policy import LabelKind, may_train
from forgefield.storage.ledger.entries import JobState, State
from forgefield.storage.records import Job

POLL_S = 0.5
NONE: Mapping[LabelKind, int] = {}


def wait_for(
    jobs: Sequence[Job],
    ledger: LedgerClient,
    desk: Desk,
    check: Callable[[], None],
    patience: float = 0.0,
    needed: Mapping[LabelKind, int] = NONE,
) -> None:
    """Until enough of every kind is settled, or the buyer says that nothing fits.

    So many of a kind are `needed` that none of them may be slow; `check` may raise meanwhile.
    """
    kinds: dict[LabelKind, list[str]] = defaultdict(list)
    for job in jobs:
        kinds[job.method.tier, job.purpose].append(job.key())
    keys, asked = [key for own in kinds.values() for key in own], desk.asked
    while desk.starved_at < asked:
        states = ledger.job_states(keys)
        if all(
            _is_enough(own, states, desk, patience, needed.get(kind, 0))
            for kind, own in kinds.items()
        ):
            break
        check()
        time.sleep(POLL_S)
    check()


def _is_enough(
    keys: Sequence[str], states: Mapping[str, JobState], desk: Desk, patience: float, needed: int
) -> bool:
    known = [(key, states[key]) for key in keys if key in states]
    over = sum(_is_over(key, state, desk) for key, state in known)
    at_work = sum(state.state is State.RESERVED for _, state in known)
    failed = over - sum(state.state is State.DONE for _, state in known)
    queued = len(keys) - over - at_work
    return may_train(len(keys), over, queued, patience, needed=needed, failed=failed)


def _is_over(key: str, state: JobState, desk: Desk) -> bool:
    """Whether a job is done, or has failed and nobody tries it again."""
    if state.state is State.FAILED:
        return not desk.is_pending(key)
    return state.state is State.DONE
