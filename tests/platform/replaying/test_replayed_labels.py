"""A label of a file is the file's, in the campaign's order of atoms, and costs its price."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import spring_files as springs
from replays import FORMALDEHYDE, recipe, renumbered, section

from forgefield.labelers.labeler import Labeler
from forgefield.platform.buying import workers
from forgefield.platform.buying.workers import LabelJobs, LabelWorker
from forgefield.platform.stand_ins.labelers import ReplayLabeler, charge, stand_in_or_real
from forgefield.storage.errors import BadConfiguration, InputError, NotConverged
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Configuration, Job, Label, Purpose, Tier
from forgefield.storage.units import from_micro, to_micro

FRAMES = 60


def shape(positions_A3: Any) -> Configuration:
    return Configuration("formaldehyde", FORMALDEHYDE.numbers, positions_A3)


def jobs(labeler: Labeler, positions_NA3: Any) -> list[Job]:
    return [Job(shape(each), labeler.method, Purpose.TRAIN) for each in positions_NA3]


def labeler(path: Path, **more: Any) -> ReplayLabeler:
    found = recipe({"ccsd": section(path, **more)}).labeler(Tier.CCSD)
    assert isinstance(found, ReplayLabeler)
    found.prepare(FORMALDEHYDE)
    return found


def test_labels_are_the_files_in_the_molecules_order_of_atoms(tmp_path: Path) -> None:
    positions_NA3 = springs.distortions(FRAMES, 1)
    energy_N, forces_NA3 = springs.labels(positions_NA3, springs.ACCURATE)
    replayed = labeler(renumbered(tmp_path / "a.npz", positions_NA3, springs.ACCURATE))
    for place in (0, 17, FRAMES - 1):
        # The two hydrogens are alike, so that a frame of the file is one of two mirror numberings.
        own_A3, mirrored_A3 = positions_NA3[place], positions_NA3[place][[0, 1, 3, 2]]
        found = [_labelled(replayed, each) for each in (own_A3, mirrored_A3)]
        (there,) = [each for each in found if each is not None]
        order = [0, 1, 2, 3] if found[0] is not None else [0, 1, 3, 2]
        assert there.energy == pytest.approx(energy_N[place], abs=1e-9)
        assert there.forces_A3 == pytest.approx(forces_NA3[place][order], abs=1e-9)
        assert there.provenance.program == "replay"


def _labelled(replayed: ReplayLabeler, positions_A3: Any) -> Label | None:
    try:
        return replayed.label(shape(positions_A3))
    except BadConfiguration:
        return None


def test_a_geometry_that_the_file_has_not_is_refused(tmp_path: Path) -> None:
    path = springs.write(tmp_path / "a.npz", springs.distortions(9, 1), springs.ACCURATE)
    near = springs.distortions(9, 1)[0] + 1e-6 * np.eye(4, 3)
    with pytest.raises(BadConfiguration, match=r"a\.npz has this geometry"):
        labeler(path, unit="kcal/mol").label(shape(near))


def test_the_name_says_that_it_is_replayed(tmp_path: Path) -> None:
    path = springs.write(tmp_path / "a.npz", springs.distortions(9, 1), springs.ACCURATE)
    replayed = labeler(path, unit="kcal/mol")
    assert replayed.method.name == "SPRINGS/one, replayed"
    assert replayed.method.tier is Tier.CCSD


def test_prices_are_stated_and_spread_alike_in_every_process(tmp_path: Path) -> None:
    positions_NA3 = springs.distortions(400, 3)
    path = springs.write(tmp_path / "a.npz", positions_NA3, springs.ACCURATE)
    exact, spread = labeler(path, unit="kcal/mol"), labeler(path, unit="kcal/mol", spread=0.2)
    assert charge(exact, jobs(exact, positions_NA3[:7]), 0.01) == 700.0
    prices = [charge(spread, [job], 0.01) for job in jobs(spread, positions_NA3)]
    assert 80 < min(prices) < 83
    assert 117 < max(prices) < 120
    deviation = 20 / np.sqrt(3) / np.sqrt(400)
    assert np.mean(prices) == pytest.approx(100, abs=4 * deviation)
    again = labeler(path, unit="kcal/mol", spread=0.2)
    assert prices == [charge(again, [job], 9.0) for job in jobs(again, positions_NA3)]


def test_a_share_of_geometries_fails_and_costs_the_same(tmp_path: Path) -> None:
    positions_NA3 = springs.distortions(300, 3)
    path = springs.write(tmp_path / "a.npz", positions_NA3, springs.ACCURATE)
    failing = labeler(path, unit="kcal/mol", failures=0.3)
    failed = sum(_fails(failing, each) for each in positions_NA3)
    assert failed == pytest.approx(90, abs=4 * np.sqrt(300 * 0.3 * 0.7))
    assert charge(failing, jobs(failing, positions_NA3[:9]), 0.0) == 900.0


def _fails(failing: ReplayLabeler, positions_A3: Any) -> bool:
    try:
        failing.label(shape(positions_A3))
    except NotConverged:
        return True
    return False


def test_a_worker_settles_exactly_the_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is real; only Ray's way to it is not."""
    positions_NA3 = springs.distortions(30, 3)
    path = springs.write(tmp_path / "a.npz", positions_NA3, springs.ACCURATE)
    settings = section(path, unit="kcal/mol", price=123.456789)
    stand_in = recipe({"dft": settings}).stand_in(Tier.DFT)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger.set_cap(to_micro(10_000), "test")
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(workers.ray, "get", lambda answer: answer)
    service = SimpleNamespace(
        call=SimpleNamespace(remote=lambda name, *given: getattr(ledger, name)(*given))
    )
    name = "SPRINGS/one, replayed"
    work = LabelJobs(name, FORMALDEHYDE, 1, 10**9, tmp_path / "spool", Tier.DFT, stand_in)
    worker = LabelWorker(work, service)  # type: ignore[arg-type]
    assert worker.load()
    bought = jobs(stand_in_or_real(name, Tier.DFT, stand_in), positions_NA3[:5])
    worked = worker.label(ledger.reserve(bought, to_micro(1000)), bought)
    assert (worked.done, worked.failures) == (5, ())
    assert from_micro(ledger.balance().spent_micro) == 5 * 123.456789
    assert ledger.balance().reserved_micro == 0
    (row,) = ledger.tally()
    assert (row.tier, row.done) == (Tier.DFT, 5)
    assert row.mean_core_seconds == pytest.approx(123.456789)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit": "kJ/mol"}, "unit = .* under \\[replay.ccsd\\]|under \\[replay.ccsd\\]"),
        ({"file": "nowhere.npz"}, "no file nowhere.npz"),
    ],
)
def test_doubts_about_a_file_name_the_recipes_keys(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = springs.write(tmp_path / "a.npz", springs.distortions(50, 1), springs.ACCURATE, scale=1)
    settings = section(path) | changes
    with pytest.raises(InputError, match=said):
        recipe({"ccsd": settings}).labeler(Tier.CCSD).check(FORMALDEHYDE)


def test_another_molecule_of_the_same_atoms_is_refused(tmp_path: Path) -> None:
    """Hydroxycarbene, H-C-O-H, has formaldehyde's atoms."""
    bent_A3 = np.array([[0, 0, 0], [0, 0, 1.31], [1.08, 0, -0.25], [0.93, 0, 1.6]])
    noise = np.random.default_rng(0).normal(scale=0.03, size=(40, 4, 3))
    path = tmp_path / "carbene.npz"
    np.savez(path, z=springs.NUMBERS, R=bent_A3 + noise, E=np.zeros(40), F=noise * 30)
    with pytest.raises(InputError, match=r"carbene\.npz holds another molecule than formaldehyde"):
        recipe({"ccsd": section(path, trust=True)}).labeler(Tier.CCSD).check(FORMALDEHYDE)
