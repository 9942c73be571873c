"""Choices of a run's rounds: made once, saved, and found again.

They follow from what is on disk alone: the frames that the round before trained on, its committee,
and what was chosen earlier. Nothing here buys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.plan import Plan
from forgefield.platform.rounds.candidates import Scene, random_choice, round_choice
from forgefield.platform.rounds.choices import Choice, jobs_of, load_choice, save_choice
from forgefield.platform.rounds.documents import Round, RoundFolder
from forgefield.platform.rounds.policy import ahead_buy, first_buy, learnt_tiers, planned_counts
from forgefield.platform.rounds.snapshots import counts_of, own_frames
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import hex_keys
from forgefield.storage.records import Job, Tier

SEED_STEP = 7919


@dataclass(frozen=True, slots=True)
class Chooser:
    """The choices of one run."""

    folder: RunFolder
    plan: Plan
    supply: Supply

    def place(self, number: int) -> RoundFolder:
        """Where round `number` lies."""
        return RoundFolder.of(self.folder, number)

    def choice(self, place: RoundFolder, records: Sequence[Round]) -> Choice:
        """What a round labels, after those that `records` tell of."""
        choice = load_choice(place.choice)
        if choice is None:
            taken = self.taken(place.number)
            if records:
                record = records[-1]
                buy = record.buy.to_counts().plus(record.bought_ahead.to_counts())
                choice = round_choice(self._scene(place, record, taken), buy)
            else:
                frames, _ = own_frames(self.folder.frames, self.methods)
                at_hand = counts_of(frames, learnt_tiers(self.plan.recipe))
                planned = planned_counts(self.plan)
                choice = random_choice(
                    self.supply, first_buy(planned, at_hand, self.plan.recipe.rounds), taken
                )
            save_choice(choice, place.choice)
        return choice

    def _scene(self, place: RoundFolder, record: Round, taken: frozenset[str]) -> Scene:
        from forgefield.trainers.force_field import ForceField

        recipe, before = self.plan.recipe, self.place(record.number)
        return Scene(
            molecule=self.plan.molecule.to_record(),
            supply=self.supply,
            frames=load_frames(before.frames),
            members=tuple(ForceField.load(before.root / member) for member in record.members),
            settings=recipe.explore,
            taken=taken,
            ahead=load_choice(place.ahead) or (),
            seed=recipe.training.seed + SEED_STEP * place.number,
            from_file=frozenset(recipe.replay.tiers),
        )

    @property
    def methods(self) -> dict[Tier, str]:
        """The plan's method of every tier."""
        return {quote.tier: quote.method for quote in self.plan.tiers}

    def taken(self, number: int) -> frozenset[str]:
        """Keys of jobs that are settled, or wanted by earlier rounds and ahead of this one."""
        places = [self.place(earlier) for earlier in range(number)]
        files = [*(place.choice for place in places), self.place(number).ahead]
        wanted = [job for file in files for job in self.jobs(load_choice(file) or ())]
        return frozenset(
            {job.key() for job in wanted} | set(hex_keys(load_frames(self.folder.frames).key_F))
        )

    def ahead(self, place: RoundFolder, counts: Counts) -> Choice:
        """Random labels of a round, to be bought while the one before trains on `counts`."""
        ahead = load_choice(place.ahead)
        if ahead is None:
            buy = ahead_buy(counts, planned_counts(self.plan), self.plan.recipe.rounds)
            ahead = random_choice(self.supply, buy, self.taken(place.number))
            save_choice(ahead, place.ahead)
        return ahead

    def jobs(self, choice: Choice) -> list[Job]:
        """The training labels of a choice."""
        molecule = self.plan.molecule.to_record()
        return list(jobs_of(choice, molecule, self.supply.methods(self.plan)))
