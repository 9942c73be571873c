"""Every class of error, provoked by inputs that are what they seem, down to what is charged.

Labelers, Ray, dispatcher and ledger are those of a campaign. Only the slot's placement group is
left out, and orders are made by hand.
"""

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from forgefield.labelers import self_consistent
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.slots import NUMBERS, Slot
from forgefield.platform.buying.workers import LabelJobs, LabelWorker
from forgefield.platform.cli import main
from forgefield.platform.planning.quoting import estimated_costs
from forgefield.platform.planning.recipe import LabelSettings, Recipe
from forgefield.storage.errors import (
    BadConfiguration,
    InputError,
    NeedsLargerMachine,
    NotConverged,
    WaveOfFailures,
)
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import EntryKind, FailureRow, JobState, State
from forgefield.storage.records import Configuration, Job, Label, Method, Molecule, Purpose, Tier
from forgefield.storage.units import to_micro

N2, ETHANOL = find_molecule("N#N"), find_molecule("ethanol")
SMALL = "CCSD(T)/STO-3G, frozen core"
LARGE = "CCSD(T)/cc-pVDZ, frozen core"
GIGABYTE = 10**9


def pair(numbers: tuple[int, int], distance: float) -> Configuration:
    """Two atoms, Å apart."""
    return Configuration("pair", numbers, np.array([[0, 0, 0], [0, 0, distance]]))


def label(method: str, configuration: Configuration, memory_bytes: int = GIGABYTE) -> Label:
    return labeler_for(method, memory_bytes=memory_bytes).label(configuration)


@pytest.mark.parametrize("method", ["GFN2-xTB", "PBE/STO-3G, grid 1", SMALL])
def test_overlapping_atoms_are_no_configuration(method: str) -> None:
    with pytest.raises(BadConfiguration, match=r"0.300 Å apart.*drop this configuration"):
        label(method, pair((7, 7), 0.3))


def test_second_order_scf_rescues_an_ionic_molecule_pulled_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DIIS takes 11 iterations here on any machine; cut off after 6, second order ends the same.

    Further apart DIIS wanders, and the last bit of an integral decides whether it arrives.
    """
    apart = pair((3, 9), 8.0)
    plain = label("HF/6-31G", apart)
    monkeypatch.setattr(self_consistent, "MAX_CYCLES", 6)
    rescued = label("HF/6-31G", apart)
    assert plain.provenance.diagnostics["scf_remedy"] == 0
    said = rescued.provenance.diagnostics
    assert said["scf_remedy"] == 1
    assert said["scf_iterations"] > 6
    assert rescued.energy == pytest.approx(plain.energy, abs=1e-6)
    np.testing.assert_allclose(rescued.forces_A3, plain.forces_A3, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "numbers", "distance", "said"),
    [
        ("GFN2-xTB", (3, 9), 5.0, "250 cycles"),
        ("PBE/def2-SVP, grid 1", (9, 9), 4.2, "excited state"),
        (
            SMALL,
            (7, 7),
            2.2,
            "CCSD did not converge in 400 iterations.*damped",
        ),
        ("CCSD(T)/6-31G", (3, 9), 5.0, "Λ equations did not converge"),
    ],
)
def test_broken_bonds_that_nothing_rescues_are_not_converged(
    method: str, numbers: tuple[int, int], distance: float, said: str
) -> None:
    """At 4.2 Å second-order SCF of F2 does converge, 16 eV above the molecule's energy at 2.2 Å."""
    with pytest.raises(NotConverged, match=f"{said}.*drop this configuration"):
        label(method, pair(numbers, distance))


def test_all_remedies_are_tried_before_a_field_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one cycle for each of them, which is too few on any machine."""
    monkeypatch.setattr(self_consistent, "MAX_CYCLES", 1)
    with pytest.raises(NotConverged, match=r"second-order and level-shifted.*drop this") as said:
        label("PBE/def2-SVP, grid 1", pair((9, 9), 2.2))
    iterations = re.search(r"in (\d+) iterations", str(said.value))
    assert iterations is not None
    assert int(iterations[1]) >= 4, "of DIIS, of second order, shifted and without shift"


def test_a_label_too_large_for_its_memory_is_not_begun() -> None:
    labeler = labeler_for(LARGE, memory_bytes=6 * 10**8)
    need_gb = labeler.estimate(ETHANOL).memory_bytes / 1e9
    shape = Configuration("ethanol", ETHANOL.numbers, ETHANOL.positions_A3)
    spent_s = []
    for _ in range(2):
        started = time.process_time()
        with pytest.raises(NeedsLargerMachine, match=rf"needs about {need_gb:.1f} GB.*have 0.6 GB"):
            labeler.label(shape)
        spent_s.append(time.process_time() - started)
    assert spent_s[1] < 0.2, "the first may load libraries"


def test_memory_for_one_label_is_enough_for_the_next_in_the_same_process() -> None:
    """The process has grown by then; what it holds is not the label's."""
    need_bytes = labeler_for(SMALL).estimate(N2).memory_bytes
    labeler = labeler_for(SMALL, memory_bytes=need_bytes + 1000)
    for distance in (1.1, 1.15, 1.2):
        assert labeler.label(pair((7, 7), distance)).energy < -2900


@pytest.mark.parametrize(
    ("smiles", "recipe", "said"),
    [
        ("O", 'ccsd = "CCSD(T)/cc-pVXZ"', "no basis set 'cc-pVXZ'; known are def2-SVP"),
        ("[U]", "", "MMFF94"),
        ("CI", 'empirical = "UFF"', "cc-pVDZ has no functions for I"),
    ],
)
def test_what_no_method_knows_is_refused_before_anything_is_spent(
    smiles: str, recipe: str, said: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "recipe.toml").write_text(f"[methods]\n{recipe}\n")
    monkeypatch.chdir(tmp_path)
    words = ["run", "-m", smiles, "-b", "20ccsd", "--recipe", "recipe.toml"]
    monkeypatch.setattr("sys.argv", ["platform", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob("ledger.sqlite"))


def test_an_element_that_no_tier_knows_is_named() -> None:
    oganesson = Molecule("oganesson", (118,), np.zeros((1, 3)))
    for name in ("MMFF94", "GFN2-xTB", "PBE/def2-SVP", LARGE):
        with pytest.raises(InputError, match=r"118|Og|oganesson"):
            labeler_for(name).prepare(oganesson)
    with pytest.raises(InputError):
        estimated_costs(oganesson, Recipe())


class RealSlot(Slot):
    """A campaign's workers, without a placement group."""

    def _start(self, tier: Tier) -> Any:
        make = ray.remote(LabelWorker).options(num_cpus=0)
        return make.remote(self.work[tier], self.ledger.service)


class Shop:
    """A run folder with its ledger service; each dispatcher is the driver's next start."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.slots = folder, list[Slot]()
        (folder / "spool").mkdir()
        self.url = f"sqlite:///{folder}/ledger.sqlite"
        name = f"ledger of remedies {next(NUMBERS)}"
        self.ledger = LedgerClient(self.url, folder / "frames.zarr", folder / "spool", name)
        self.ledger.open()
        self.ledger.set_cap(to_micro(1000.0), "test")

    def start(
        self, molecule: Molecule, method: str, gigabytes: float, **settings: Any
    ) -> Labelling:
        """A driver with one worker of one method."""
        memory_bytes = int(gigabytes * GIGABYTE)
        jobs = LabelJobs(method, molecule, 1, memory_bytes, self.folder / "spool")
        self.slots = [RealSlot(0, None, {Tier.CCSD: jobs}, self.ledger)]  # type: ignore[arg-type]
        made = LabelSettings(**{"grace_s": 0.0} | settings)
        dispatcher = Dispatcher(self.slots, self.ledger, made, lambda _: None)
        dispatcher.warm()
        return Labelling(dispatcher, self.ledger, None)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the driver's workers."""
        for slot in self.slots:
            slot.kill(Tier.CCSD)
        self.slots = []

    def books(self, jobs: Sequence[Job]) -> tuple[list[JobState], tuple[FailureRow, ...]]:
        """States and failed attempts; every invariant holds, and each failure is charged once."""
        with Ledger(self.url, read_only=True) as ledger:
            assert ledger.verify(self.folder / "frames.zarr") == []
            states, failures = ledger.job_states([j.key() for j in jobs]), ledger.failures()
            balance, entries = ledger.balance(), ledger.entries()
        paid = {kind: sum(e.amount_micro for e in entries if e.kind is kind) for kind in EntryKind}
        assert paid[EntryKind.FAILED] == sum(row.used_micro for row in failures)
        assert balance.spent_micro == paid[EntryKind.FAILED] + paid[EntryKind.LABEL]
        assert balance.reserved_micro == 0
        return [states[job.key()] for job in jobs], failures


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=2, **quiet)
    yield
    ray.shutdown()


@pytest.fixture
def shop(_cluster: None, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()
    made.ledger.stop()


def bonds(*distances: float) -> list[Job]:
    return [Job(pair((7, 7), d), Method(Tier.CCSD, SMALL), Purpose.TRAIN) for d in distances]


def ethanol() -> list[Job]:
    shape = Configuration("ethanol", ETHANOL.numbers, ETHANOL.positions_A3)
    return [Job(shape, Method(Tier.CCSD, LARGE), Purpose.TRAIN)]


def order(jobs: Sequence[Job], core_seconds: float) -> Order:
    return Order(deque(jobs), len(jobs), Tier.CCSD, core_seconds)


def test_hopeless_configurations_are_charged_and_never_tried_again(shop: Shop) -> None:
    jobs = bonds(0.3, 2.2, 1.1, 1.2)
    shop.start(N2, SMALL, 1).buy([order(jobs, 2.0)])
    states, failures = shop.books(jobs)
    assert [s.state for s in states] == [State.FAILED, State.FAILED, State.DONE, State.DONE]
    assert [(row.failure.kind, row.job_key) for row in failures] == [
        ("BadConfiguration", jobs[0].key()),
        ("NotConverged", jobs[1].key()),
    ]
    assert "0.300 Å apart" in failures[0].failure.message
    assert "CCSD did not converge" in failures[1].failure.message
    assert failures[0].used_micro < 100_000 < failures[1].used_micro
    shop.close()
    shop.start(N2, SMALL, 1).buy([order(jobs, 2.0)])
    assert shop.books(jobs)[1] == failures


def test_a_wave_of_real_failures_stops_with_the_reason(shop: Shop) -> None:
    jobs = bonds(0.1, 0.2, 0.3, 0.35, 1.1)
    with pytest.raises(WaveOfFailures, match=r"3 ccsd labels failed against 0 done.*Å apart"):
        shop.start(N2, SMALL, 1, wave=3).buy([order(jobs[:4], 2.0), order(jobs[4:], 2.0)])
    with Ledger(shop.url, read_only=True) as ledger:
        assert len(ledger.failures()) == 3


def test_too_little_memory_costs_next_to_nothing_and_a_larger_machine_does_it(shop: Shop) -> None:
    jobs = ethanol()
    shop.start(ETHANOL, LARGE, 0.6).buy([order(jobs, 10.0)])
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, failure.failure.kind) == (State.FAILED, "NeedsLargerMachine")
    assert "may have 0.6 GB" in failure.failure.message
    assert failure.used_micro < 500_000
    shop.close()
    shop.start(ETHANOL, LARGE, 4).buy([order(jobs, 30.0)])
    (state,), failures = shop.books(jobs)
    assert (state.state, failures) == (State.DONE, (failure,))


def test_a_label_that_overruns_is_killed_and_charged_what_was_reserved(shop: Shop) -> None:
    jobs = ethanol()
    settings = {"limit_factor": 1, "limit_extra_s": 0.5, "extensions": 1}
    shop.start(ETHANOL, LARGE, 4, **settings).buy([order(jobs, 0.1)])
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, state.attempts) == (State.FAILED, 1)
    assert failure.failure.kind == "NeedsLargerMachine"
    assert "core-seconds reserved for it" in failure.failure.message
    assert failure.used_micro == 1_200_000, "twice 0.1 + 0.5 core-seconds"


def test_a_worker_killed_in_a_label_is_charged_and_the_label_made_again(shop: Shop) -> None:
    jobs = ethanol()
    started = shop.start(ETHANOL, LARGE, 4)
    worker: Any = shop.slots[0].workers[Tier.CCSD]
    process = ray.get(worker.__ray_call__.remote(lambda _: os.getpid()))
    beats = shop.folder / "spool"

    def kill() -> None:
        while not list(beats.glob("*.beat")):
            time.sleep(0.02)
        time.sleep(1.5)
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    started.buy([order(jobs, 30.0)])
    killer.join()
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, state.attempts) == (State.DONE, 2)
    assert failure.failure.kind == "TransientFailure"
    assert 500_000 < failure.used_micro < 4_000_000
