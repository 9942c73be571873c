"""What becomes of labels that failed or whose worker died, and when so many do that buying ends.

A label that may go better next time is tried again, a few times, if it is still wanted; one of a
batch that killed its worker is tried by itself. No single label stops the rest; a wave of failures
does.
"""

from collections import Counter
from collections.abc import Sequence

from forgefield.platform.buying.asking import Asking, Order
from forgefield.platform.buying.flights import InFlight
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purchasing import is_wave, is_worth_retrying
from forgefield.platform.buying.score import Score
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import WaveOfFailures
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import Failure, Job
from forgefield.storage.units import from_micro


class Losses:
    """Failed attempts by job, and the wave they make."""

    def __init__(
        self, ledger: LedgerClient, asking: Asking, score: Score, settings: LabelSettings
    ) -> None:
        self._ledger, self._asking = ledger, asking
        self._score, self._settings = score, settings
        self._attempts: Counter[str] = Counter()
        self.wave: WaveOfFailures | None = None

    def of_dead(self, flight: InFlight, failure: Failure) -> None:
        """See in the ledger what became of the jobs of a reservation that was closed as dead."""
        order, jobs = flight.order, flight.jobs
        charged = from_micro(self._ledger.charged(flight.reservation))
        states = self._ledger.job_states([job.key() for job in jobs])
        lost = [job for job in jobs if states[job.key()].state is not State.DONE]
        self._score.pay(order.tier, len(jobs) - len(lost), charged, len(jobs))
        if len(lost) > 1:
            self._asking.give_up(lost)
            self._put_back(order, lost)
            return
        for job in lost:
            self.failed(order, job, states[job.key()].failure or failure)

    def _put_back(self, order: Order, lost: Sequence[Job]) -> None:
        if order.dropped:
            order.given_up.update(job.key() for job in lost)
            return
        order.jobs.extendleft(reversed(lost))
        order.alone += len(lost)

    def failed(self, order: Order, job: Job, failure: Failure) -> None:
        """One attempt at a job has failed."""
        self._attempts[job.key()] += 1
        self._asking.give_up([job])
        again = is_worth_retrying(failure.kind, self._attempts[job.key()], self._settings)
        if again and not order.dropped:
            order.jobs.append(job)
            return
        order.given_up.add(job.key())
        if again:
            return
        tier, score = order.tier, self._score
        score.failed[tier] += 1
        if self.wave is None and is_wave(score.failed[tier], score.done[tier], self._settings):
            self.wave = WaveOfFailures(
                f"{score.failed[tier]} {tier} labels failed against {score.done[tier]} done; the "
                f"last said {failure.kind}: {failure.message}. Mend the cause, then run again: "
                "what was bought is kept."
            )
