"""The loop of a campaign in rounds: choose → label → freeze → train → decide, in a thread.

It asks the desk for labels and waits for them; another thread buys. Every step is skipped where the
file it leaves is there (`documents`), and a choice is saved before any of its labels is asked for.
So a run that was killed anywhere chooses what it had chosen, and repeats at most what was at work.
After every wait, and before a round is frozen, ended or chosen, it asks whether it may go on: what
a stop cut short is never taken for the labels of a round.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.orders import JUDGING
from forgefield.platform.buying.serving import lent
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.own_frames import counts_of, own_frames
from forgefield.platform.planning.plan import Plan
from forgefield.platform.rounds.choices import Choice, load_choice
from forgefield.platform.rounds.chooser import Chooser
from forgefield.platform.rounds.closing import PAID, Account, ended, wished_ahead
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.documents import Course, Round, RoundFolder, ended_rounds
from forgefield.platform.rounds.learning import Learnt, learn
from forgefield.platform.rounds.policy import LabelKind, first_needs
from forgefield.platform.rounds.waiting import NONE, wait_for
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.snapshots import snapshot
from forgefield.platform.training import refuse_untrainable
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.records import Job, Purpose, Tier
from forgefield.trainers.stages.asteroid_settings import Runner

Stages = Callable[[Path, int, Reporter, Callable[[], None]], AbstractContextManager[Runner]]
"""Runs stages into a folder on so many cores; see `training.running_stages`."""
CHOOSING_CORES = 1


@dataclass(slots=True)
class Thinker:
    """One campaign's thread of thought; `check` raises where it must not go on."""

    chooser: Chooser
    phase: Labelling
    desk: Desk
    reporter: Reporter
    check: Callable[[], None]
    stages: Stages
    asked: set[str] = field(default_factory=set)

    @property
    def plan(self) -> Plan:
        """What the campaign executes."""
        return self.chooser.plan

    @property
    def folder(self) -> RunFolder:
        """The run's."""
        return self.chooser.folder

    def think(self) -> Round:
        """Rounds until one decides to stop; the last one's record.

        By then the last purchase and all firm orders are settled, or nothing fits any more. A run
        that had stopped asks for nothing but what is missing of its hold-out.
        """
        records = ended_rounds(self.folder)
        firm: Sequence[Job] = self.chooser.supply.first
        if records and records[-1].decision is Course.STOP:
            firm = [job for job in firm if job.purpose is Purpose.HOLDOUT]
        else:
            for number in range(len(records)):
                self._ask(load_choice(self.chooser.place(number).choice) or ())
        while not records or records[-1].decision is Course.ON:
            records.append(self._round(records))
        if records[-1].decision is Course.LAST:
            self._labelled(self.chooser.place(len(records)), records)
        self.desk.drop()
        self._wait_for(firm)
        return records[-1]

    def _round(self, records: Sequence[Round]) -> Round:
        place, began = self.chooser.place(len(records)), time.time()
        after = self.chooser.place(place.number + 1)
        self.folder.note(f"round {place.number} began")
        self._labelled(place, records)
        frames, left_out = self._frozen(place)
        self._ask(self.chooser.ahead(after, lambda: self._wished(records, frames)), ahead=True)
        usual_s = self.plan.tier(TARGET).core_seconds / self.phase.threads
        with lent(self.phase, self._slots_to_lend(), self.check, usual_s) as cores:
            learnt, trained_s = self._learn(place, frames, cores)
            record = self._ended(records, place, frames, learnt)
            wall_s = round(time.time() - began, 2)
            update = {"left_out": left_out, "trained_s": trained_s, "wall_s": wall_s}
            record = record.model_copy(update=update)
            self.check()
            place.write(record)
            self.reporter.say(f"Round {place.number}: {record.why}.")
            if record.decision is not Course.STOP:
                self._choice(after, [*records, record], cores)
        self.folder.note(f"round {place.number} ended", error=record.error, why=record.why)
        return record

    def _ended(
        self, records: Sequence[Round], place: RoundFolder, frames: Frames, learnt: Learnt
    ) -> Round:
        account, counts = self._account(place.number, frames), self._counts(frames)
        validation = len(frames.of_tier(TARGET).of_purpose(Purpose.VALIDATION))
        return ended(self.plan, records, counts, learnt, validation, account, place.root)

    def _wished(self, records: Sequence[Round], frames: Frames) -> Counts:
        account = self._account(len(records), frames)
        return wished_ahead(self.plan, records, self._counts(frames), account)

    def _account(self, number: int, frames: Frames) -> Account:
        """What round `number` has to reckon with, which trains on `frames`."""
        ledger = self.phase.ledger
        ahead = self.chooser.jobs(load_choice(self.chooser.place(number + 1).ahead) or ())
        judging = [job for job in self.chooser.supply.first if job.purpose in JUDGING]
        asked = [*judging, *self.chooser.wanted(number, but=ahead)]
        states = ledger.job_states([job.key() for job in (*ahead, *asked)])
        offered = self.chooser.supply.offered(self.chooser.taken(number + 1))
        frozen = frozenset(hex_keys(frames.key_F))
        return Account(ledger.balance(), ledger.tally(), ahead, asked, states, offered, frozen)

    def _counts(self, frames: Frames) -> Counts:
        return counts_of(frames, learnt_tiers(self.plan.recipe))

    def _labelled(self, place: RoundFolder, records: Sequence[Round]) -> None:
        """Choose, ask, and wait until all but the slowest labels are there or nothing fits."""
        choice = self._choice(place, records, CHOOSING_CORES)
        wanted = {job.key() for job in self.chooser.jobs(choice)}
        ahead = {job.key() for job in self.chooser.jobs(load_choice(place.ahead) or ())}
        self.desk.promote(wanted)
        self.asked -= ahead - wanted
        self._ask(choice)
        jobs, patience = self.chooser.jobs(choice), self.plan.recipe.rounds.patience
        if not records:
            firm = [job for job in self.chooser.supply.first if job.purpose is not Purpose.HOLDOUT]
            self._wait_for([*firm, *jobs], patience, first_needs(self.plan))
        else:
            self._wait_for(jobs, 0.0 if records[-1].decision is Course.LAST else patience)

    def _choice(self, place: RoundFolder, records: Sequence[Round], cores: int) -> Choice:
        buyer = self._paid, self.desk.promote
        return self.chooser.choice(place, records, *buyer, self.check, cores)

    def _paid(self, jobs: Sequence[Job]) -> frozenset[str]:
        """Keys of the jobs that are settled or at work."""
        states = self.phase.ledger.job_states([job.key() for job in jobs])
        return frozenset(key for key, state in states.items() if state.state in PAID)

    def _frozen(self, place: RoundFolder) -> tuple[Frames, tuple[str, ...]]:
        self.check()
        self.phase.ledger.pack()
        frames, left_out = own_frames(self.folder.frames, self.plan.methods)
        refuse_untrainable(frames, TARGET, self.plan.budget)
        place.create()
        return load_frames(snapshot(frames, place.frames)), left_out

    def _learn(self, place: RoundFolder, frames: Frames, cores: int) -> tuple[Learnt, float]:
        recipe, start = self.plan.recipe, time.time()
        cheap = [tier for tier in Tier if tier != TARGET and len(frames.of_tier(tier))]
        self.reporter.say(
            f"Round {place.number}: training on {len(frames.of_tier(TARGET))} {TARGET} frames …"
        )
        with self.stages(place.training, cores, self.reporter, self.check) as runner:
            learnt = learn(
                place.frames, place.training, self.plan.training, recipe.rounds, cheap, runner
            )
        return learnt, round(time.time() - start, 2)

    def _slots_to_lend(self) -> int:
        """One at least; all of them where nothing is left to label meanwhile."""
        slots = len(self.phase.slots)
        most = slots if self.desk.is_empty else slots - 1
        return max(1, min(self.plan.recipe.rounds.lend, most))

    def _ask(self, choice: Choice, *, ahead: bool = False) -> None:
        new = [job for job in self.chooser.jobs(choice) if job.key() not in self.asked]
        self.asked |= {job.key() for job in new}
        self.desk.want(self.phase.is_wanted(new), ahead=ahead)

    def _wait_for(
        self, jobs: Sequence[Job], patience: float = 0.0, needed: Mapping[LabelKind, int] = NONE
    ) -> None:
        wait_for(jobs, self.phase.ledger, self.desk, self.check, patience, needed)
