"""Choices of a run's rounds: made once, saved, and found again.

They follow from what is on disk alone: the frames that the round before trained on, its committee,
what was chosen earlier, and what the ledger says is paid. Nothing here buys. Torch keeps to the
cores that it is given, since labels are billed for theirs meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.own_frames import counts_of, own_frames
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planned_labels import planned_counts
from forgefield.platform.rounds.candidates import Scene, random_choice, round_choice
from forgefield.platform.rounds.choices import Choice, jobs_of, load_choice, save_choice
from forgefield.platform.rounds.documents import Round, RoundFolder
from forgefield.platform.rounds.policy import first_buy
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import hex_keys
from forgefield.storage.records import Job

SEED_STEP = 7919
Paid = Callable[[Sequence[Job]], frozenset[str]]
"""Of some jobs the keys of those that are paid."""
Keep = Callable[[Collection[str]], None]
"""Hears, before exploring begins, which jobs bought ahead the choice will hold: no others now."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """The choices of one run."""

    folder: RunFolder
    plan: Plan
    supply: Supply

    def place(self, number: int) -> RoundFolder:
        """Where round `number` lies."""
        return RoundFolder.of(self.folder, number)

    def choice(
        self,
        place: RoundFolder,
        records: Sequence[Round],
        paid: Paid,
        keep: Keep,
        check: Callable[[], None],
        cores: int,
    ) -> Choice:
        """What a round labels, after those that `records` tell of; `check` may raise meanwhile."""
        choice = load_choice(place.choice)
        if choice is None:
            if records:
                with _torch_on(cores):
                    choice = self._later(place, records[-1], paid, keep, check)
            else:
                choice = self._first(place)
            check()
            save_choice(choice, place.choice)
        return choice

    def _first(self, place: RoundFolder) -> Choice:
        frames, _ = own_frames(self.folder.frames, self.plan.methods)
        at_hand = counts_of(frames, learnt_tiers(self.plan.recipe))
        buy = first_buy(planned_counts(self.plan), at_hand, self.plan.recipe.rounds)
        return random_choice(self.supply, buy, self.taken(place.number))

    def _later(
        self,
        place: RoundFolder,
        record: Round,
        paid: Paid,
        keep: Keep,
        check: Callable[[], None],
    ) -> Choice:
        buy = record.buy.to_counts().plus(record.bought_ahead.to_counts())
        scene = self._scene(place, record, paid, check)
        return round_choice(scene, buy, lambda drawn: keep({j.key() for j in self.jobs(drawn)}))

    def _scene(
        self, place: RoundFolder, record: Round, paid: Paid, check: Callable[[], None]
    ) -> Scene:
        from forgefield.trainers.force_field import ForceField

        ahead = load_choice(place.ahead) or ()
        jobs = self.jobs(ahead)
        known = paid(jobs)
        is_paid = [job.key() in known for job in jobs]
        recipe, before = self.plan.recipe, self.place(record.number)
        return Scene(
            molecule=self.plan.molecule.to_record(),
            supply=self.supply,
            frames=load_frames(before.frames),
            members=tuple(ForceField.load(before.root / member) for member in record.members),
            settings=recipe.explore.at(recipe.sampling.temperatures),
            taken=self.taken(place.number),
            paid=tuple(each for each, yes in zip(ahead, is_paid, strict=True) if yes),
            ahead=tuple(each for each, yes in zip(ahead, is_paid, strict=True) if not yes),
            check=check,
            seed=recipe.training.seed + SEED_STEP * place.number,
            from_file=frozenset(recipe.replay.tiers),
        )

    def taken(self, number: int) -> frozenset[str]:
        """Keys of jobs that are settled, or wanted by earlier rounds and ahead of this one."""
        places = [self.place(earlier) for earlier in range(number)]
        files = [*(place.choice for place in places), self.place(number).ahead]
        wanted = [job for file in files for job in self.jobs(load_choice(file) or ())]
        return frozenset(
            {job.key() for job in wanted} | set(hex_keys(load_frames(self.folder.frames).key_F))
        )

    def wanted(self, number: int, but: Sequence[Job]) -> list[Job]:
        """Labels chosen or bought ahead for round `number` and those before, each once."""
        files = [file for n in range(number + 1) for file in self.place(n).wishes]
        jobs = [job for file in files for job in self.jobs(load_choice(file) or ())]
        known = {job.key() for job in but}
        return list({job.key(): job for job in jobs if job.key() not in known}.values())

    def ahead(self, place: RoundFolder, wished: Callable[[], Counts]) -> Choice:
        """Random labels of a round, to be bought while the one before trains; as many as wished."""
        ahead = load_choice(place.ahead)
        if ahead is None:
            ahead = random_choice(self.supply, wished(), self.taken(place.number))
            save_choice(ahead, place.ahead)
        return ahead

    def jobs(self, choice: Choice) -> list[Job]:
        """The training labels of a choice."""
        molecule = self.plan.molecule.to_record()
        return list(jobs_of(choice, molecule, self.supply.methods(self.plan)))


@contextmanager
def _torch_on(cores: int) -> Iterator[None]:
    """Torch on so many cores in this thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores))
    try:
        yield
    finally:
        torch.set_num_threads(before)
