"""A campaign in rounds on a molecule of springs: real ledger, store, dispatcher and training.

Labels are computed by threads in this process, at stated prices: cheaper tiers have softer springs.
There is no Ray, so a whole campaign takes seconds and can be killed anywhere.
"""

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from spring_frames import NUMBERS, SHAPE, label

from forgefield.platform.buying.crew import Crew, Ended
from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.ledger_service import LedgerService
from forgefield.platform.buying.orders import calibration_orders
from forgefield.platform.buying.saved_labels import Saved
from forgefield.platform.buying.workers import worked_of
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.pools.pool import Pool
from forgefield.platform.rounds.documents import Round
from forgefield.platform.rounds.driving import run_rounds
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import Job, Label, Molecule, Outcome, Provenance, Tier
from forgefield.storage.units import to_micro
from forgefield.trainers.stages.asteroid import plain_runner
from forgefield.trainers.stages.asteroid_settings import Runner

PRICES = {Tier.EMPIRICAL: 0.001, Tier.XTB: 0.01, Tier.DFT: 1.0, Tier.CCSD: 10.0}
SOFTER = {Tier.EMPIRICAL: 0.5, Tier.XTB: 0.8, Tier.DFT: 0.95, Tier.CCSD: 1.0}
MOLECULE = Molecule("springs", tuple(NUMBERS.tolist()), SHAPE, multiplicity=2)
ORIGIN = Provenance("springs", "1", "here", 1, 0.0, 0.0)
FIT: dict[str, Any] = {"steps": 30, "batch": 4, "evaluate_every": 10, "warm_up": 5}
SETTINGS: dict[str, Any] = {
    "methods": {},
    "labels": {"book": "", "batch_core_seconds": 0.2},
    "allocation": {"cheap_labels": 30, "middle_per_target": 2.0, "most_holdout": 5},
    "rounds": {"committee": 2, "most_rounds": 3, "curve": [0.5], "effort": 0.5, "patience": 0.0},
    "explore": {"walkers": 2, "length": 5.0, "every": 2.5, "modes": 4, "pool": 40},
    "stopping": {"least_gain": 0.0, "least_regret": 0.0},
    "training": {
        "model": {"kind": "egnn", "layers": 1, "channels": 8, "radial": 6},
        "curve": [0.5],
        "standard": FIT,
        "finetune": FIT,
        "pretrain": [{"tiers": ["xtb"], "fit": FIT}, {"tiers": ["dft"], "fit": FIT}],
    },
}


class LocalLedger:
    """The ledger service without a process of its own, for several threads."""

    def __init__(self, folder: RunFolder, told: Callable[[str], None]) -> None:
        self._lock, self._told = threading.RLock(), told
        self.service = LedgerService(folder.ledger_url, folder.frames, folder.spool)
        self.service.open({})

    def close(self) -> None:
        """Let another life in."""
        with self._lock:
            self.service._store.close()
            self.service._lock.release()
            self.service._ledger.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self._told(name)
                if name == "saved":
                    return Saved()
                if name == "book_news":
                    return ()
                if name in {"ask", "release"}:
                    return self.service.share(name, *arguments, **named)
                if name in {"pack", "pack_soon"}:
                    return self.service.pack()
                if name == "close_dead":
                    return self.service.close_dead(*arguments)
                return self.service.call(name, *arguments)

        return call


@dataclass
class Springs(Crew):
    """`count` threads that label, each label of the dear tiers for `seconds`."""

    count: int
    ledger: LocalLedger
    seconds: float = 0.0
    loads_s: float = 0.05
    at_work: Any = field(default_factory=set)
    seen: list[frozenset[int]] = field(default_factory=list)
    _over: Any = field(default_factory=SimpleQueue)
    _tickets: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.count)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    @property
    def places(self) -> Sequence[int]:
        """All of them."""
        return range(self.count)

    def tiers(self, _place: int) -> Collection[Tier]:
        """Every one."""
        return tuple(Tier)

    def threads(self, _place: int, _tier: Tier) -> int:
        """One."""
        return 1

    def load(self, place: int, _tier: Tier) -> int:
        """Loaded a moment later, in the second place much later."""
        ticket = next(self._tickets)
        threading.Timer(self.loads_s * (1 + 9 * place), self._over.put, [Ended(ticket)]).start()
        return ticket

    def label(self, place: int, _tier: Tier, reservation: int, jobs: Sequence[Job]) -> int:
        """Begin in a thread."""
        ticket = next(self._tickets)
        self.at_work.add(place)
        self.seen.append(frozenset(self.at_work))
        self._pool.submit(self._labelled, place, ticket, reservation, jobs)
        return ticket

    def ended(self, timeout_s: float) -> Sequence[Ended]:
        """One at a time."""
        try:
            return [self._over.get(timeout=timeout_s)]
        except Empty:
            return []

    def has_ended(self, _ticket: int) -> bool:
        """What is over has been told."""
        return False

    def kill(self, place: int, tier: Tier) -> None:
        """Threads live on."""

    def now(self) -> float:
        """The machine's clock."""
        return time.monotonic()

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Sequence[Job]) -> None:
        tier = jobs[0].method.tier
        time.sleep(self.seconds if tier in {Tier.CCSD, Tier.DFT} else 0)
        outcomes = [Outcome(job, _label(job)) for job in jobs]
        used = PRICES[tier] * len(jobs)
        self.ledger.settle(reservation, outcomes, to_micro(used))
        self.at_work.discard(place)
        self._over.put(Ended(ticket, worked=worked_of(outcomes, used)))


def _label(job: Job) -> Label:
    energy, forces_A3 = label(job.configuration.positions_A3)
    soft = SOFTER[job.method.tier]
    return Label(soft * energy, soft * forces_A3, ORIGIN)


@dataclass
class LentSlot:
    """A slot without cores, that notes when it is away."""

    index: int
    crew: Springs
    threads: int = 1
    lent: bool = False

    def leave(self) -> None:
        """Nothing to give back."""
        assert self.index not in self.crew.at_work, "no label runs in a slot that leaves"
        self.lent = True

    def come_back(self) -> bool:
        """At once."""
        self.lent = False
        return True

    def stay_away(self) -> None:
        """Nothing was asked for."""


class Quiet:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Remember it."""
        self.said.append(text)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Nothing to draw."""

    def end(self, name: str) -> None:
        """Nothing to take away."""

    def labels(self, progress: object) -> None:
        """Nothing to draw."""


def recipe_with(**sections: dict[str, Any]) -> Recipe:
    """The small recipe with some settings changed, by section."""
    changed = {name: SETTINGS.get(name, {}) | values for name, values in sections.items()}
    return Recipe.model_validate(SETTINGS | changed)


def make_campaign(
    root: Path, budget: str, recipe: Recipe, target: float | None = None
) -> tuple[RunFolder, Plan, Pool]:
    """A run folder with nothing in it, its plan, and distorted geometries."""
    folder = RunFolder.at(root)
    folder.create()
    costs = {tier: TierCost(price, price, price, 10**8, 2) for tier, price in PRICES.items()}
    machine = Machine(1, 2, 10**10)
    plan = make_plan(MOLECULE, parse_budget(budget), costs, [machine], recipe, str(root), target)
    noise = np.random.default_rng(7).normal(scale=0.06, size=(600, *SHAPE.shape))
    return folder, plan, Pool(MOLECULE, SHAPE + noise, np.full(600, 300.0))


@contextmanager
def stages_here(
    _folder: Path, _cores: int, _reporter: object, check: Callable[[], None]
) -> Iterator[Runner]:
    """Stages in this process."""
    run = plain_runner()

    def runner(chains: Any) -> Any:
        check()
        return run(chains)

    yield runner


@dataclass
class Campaign:
    """One life of a driver; `told` hears of every call to the ledger."""

    root: Path
    budget: str
    recipe: Recipe
    seconds: float = 0.0
    slots: int = 2
    told: Callable[[str], None] = lambda _: None
    reporter: Quiet = field(default_factory=Quiet)
    stages: Any = stages_here
    target: float | None = None

    def run(self) -> Round:
        """Calibration and all rounds, going on from what the folder holds."""
        self.folder, self.plan, pool = make_campaign(
            self.root, self.budget, self.recipe, self.target
        )
        ledger = LocalLedger(self.folder, self.told)
        self.crew = Springs(self.slots, ledger, self.seconds)
        try:
            return self._life(ledger, pool)
        finally:
            self.crew.close()
            ledger.close()

    def _life(self, ledger: Any, pool: Pool) -> Round:
        ledger.set_cap(self.plan.cap_micro, "test")
        phase = self._phase(ledger)
        costs = {quote.tier: quote.to_cost() for quote in self.plan.tiers}
        phase.buy(calibration_orders(pool, self.recipe, costs))
        supply = Supply.of(pool, self.plan, lambda _: ())
        return run_rounds(self.folder, self.plan, supply, phase, self.reporter, self.stages)

    def _phase(self, ledger: Any) -> Labelling:
        slots: Any = [LentSlot(index, self.crew) for index in range(self.slots)]

        def watch(_: object) -> None:
            for listener in phase.listeners:
                listener()

        dispatcher = Dispatcher(self.crew, ledger, self.recipe.labels, watch)
        phase = Labelling(dispatcher, ledger, self.reporter, 1, slots)
        return phase
