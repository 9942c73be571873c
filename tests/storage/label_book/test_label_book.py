"""Who finds, who is granted, who waits: claims, labels and withdrawals between runs."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sqlalchemy import update

from forgefield.storage.errors import InputError
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.label_book.runs import SILENCE_S
from forgefield.storage.label_book.schema import run
from forgefield.storage.records import Configuration, Job, Label, Method, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import CCSD, labelled, make_job, make_jobs
from forgefield.storage.units import to_micro

Opener = Callable[..., LabelBook]


def bought(job: Job, core_seconds: float = 1.0, wall_s: float = 0.5) -> StoredFrame:
    """The job's label, settled at a cost."""
    result = labelled(job, wall_s=wall_s).result
    assert isinstance(result, Label)
    return StoredFrame(1, job, result, to_micro(core_seconds))


def moved(job: Job, seed: int = 0) -> Job:
    """The same geometry somewhere else."""
    random = np.random.default_rng(seed)
    rotation = Rotation.random(rng=random).as_matrix()
    positions = job.configuration.positions_A3 @ rotation + random.normal(size=3)
    return replace(job, configuration=replace(job.configuration, positions_A3=positions))


def keys(jobs: tuple[Job, ...]) -> list[str]:
    return [job.key() for job in jobs]


def test_a_claim_is_granted_once_and_busy_for_the_other_run(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    jobs = make_jobs(0, 6, CCSD)
    assert keys(a.claim(jobs[:4]).granted) == keys(tuple(jobs[:4]))
    others = b.claim([moved(job) for job in jobs])
    assert len(others.busy) == 4
    assert len(others.granted) == 2
    assert keys(a.claim(jobs[:4]).granted) == keys(tuple(jobs[:4])), "a retry keeps its claim"


def test_what_was_published_is_found_turned_with_its_origin(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    job = make_job(1, CCSD)
    a.claim([job])
    label = bought(job).label
    assert a.publish([bought(job)]) == 1
    asked = moved(job)
    (found,) = b.claim([asked]).found
    assert (found.source, found.cost_micro) == ("a", 1_000_000)
    assert found.label.energy == label.energy
    assert found.label.provenance == label.provenance
    assert found.outcome.job is asked
    assert label.forces_A3 is not None
    assert found.label.forces_A3 is not None
    moving = job.configuration.positions_A3
    onto = asked.configuration.positions_A3
    rotation, _ = Rotation.align_vectors(onto - onto.mean(0), moving - moving.mean(0))
    np.testing.assert_allclose(found.label.forces_A3, rotation.apply(label.forces_A3), atol=1e-9)
    (same,) = b.find([job])
    np.testing.assert_array_equal(same.label.forces_A3, label.forces_A3)


def test_publishing_is_idempotent_and_leaves_cheap_labels_out(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    dear, cheap = make_job(1, CCSD), make_job(2, CCSD)
    assert a.publish([bought(dear), bought(cheap, 0.05)]) == 1
    assert a.publish([bought(dear), bought(cheap, 0.05)]) == 0
    assert b.publish([bought(dear)]) == 0
    assert [found.source for found in b.find([dear, cheap])] == ["a"]
    a.claim([cheap])
    assert a.publish([bought(cheap, 0.05)]) == 1, "others may wait for it"


def test_another_method_charge_spin_or_cell_is_another_label(opened: Opener) -> None:
    book = opened("a")
    job = make_job(1, CCSD)
    book.publish([bought(job)])
    shape = job.configuration
    others = [
        replace(job, method=Method(Tier.CCSD, "CCSD(T)/cc-pVTZ")),
        *(
            replace(job, configuration=replace(shape, **change))
            for change in (
                {"charge": 1},
                {"multiplicity": 3},
                {"cell_33": 9 * np.eye(3)},
                {"numbers": (6, 1, 1, 1, 9)},
            )
        ),
    ]
    assert book.find(others) == ()
    assert len(book.find([job, replace(job, purpose=Purpose.HOLDOUT)])) == 2


def test_twins_in_one_request_are_bought_once(opened: Opener) -> None:
    book = opened("a")
    job = make_job(1, CCSD)
    claims = book.claim([job, moved(job, 1), moved(job, 2)])
    assert (len(claims.granted), len(claims.busy)) == (1, 2)
    book.publish([bought(job)])
    assert len(book.claim(claims.busy).found) == 2


def test_released_claims_and_those_of_dead_runs_pass_on(opened: Opener) -> None:
    a, b, dead = opened("a"), opened("b"), opened("dead")
    jobs = make_jobs(0, 4, CCSD)
    a.claim(jobs[:2])
    dead.claim(jobs[2:])
    assert a.release([jobs[0].key()]) == 1
    assert keys(b.claim(jobs).granted) == keys((jobs[0], *jobs[2:]))
    assert dead.release() == 0
    assert (a.release(), b.release()) == (1, 3)


def test_a_run_on_another_host_is_alive_while_it_is_heard_of(
    opened: Opener, runs: dict[str, Run]
) -> None:
    runs["dead"] = replace(runs["dead"], host="elsewhere")
    a, far = opened("a"), opened("dead")
    job = make_job(1, CCSD)
    far.claim([job])
    assert a.claim([job]).busy
    silent = update(run).where(run.c.host == "elsewhere")
    a._database.write(lambda c: c.execute(silent.values(seen_at=time.time() - SILENCE_S - 1)))
    assert a.claim([job]).granted


def test_withdrawn_labels_are_found_no_more_and_not_published_again(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    job = make_job(1, CCSD)
    a.publish([bought(job)])
    found = b.find([job])
    b.note_taken(found)
    b.note_taken(found)
    assert b.used_keys() == {job.key()}
    assert b.strike([job.key()]) == 1, "who took it may find it wrong"
    assert a.find([job]) == ()
    assert a.publish([bought(job)]) == 0
    assert a.claim([job]).granted
    assert a.publish([bought(job, wall_s=0.7)]) == 1
    assert len(b.find([job])) == 1


def test_nothing_is_shared_by_accident(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    a.publish([bought(make_job(1, CCSD))])
    assert b.strike([make_job(1, CCSD).key()]) == 0
    assert b.known_keys([make_job(1, CCSD).key(), make_job(2, CCSD).key()]) == {
        make_job(1, CCSD).key()
    }
    assert a.claim([]).granted == ()


def test_a_periodic_box_is_found_with_its_stress_turned(opened: Opener) -> None:
    book = opened("a")
    shape = make_job(1, CCSD).configuration
    cell = np.array([[9.0, 0, 0], [1, 8, 0], [0.5, 2, 7]])
    job = Job(replace(shape, cell_33=cell), CCSD, Purpose.TRAIN)
    frame = bought(job)
    stress = np.array([[1.0, 0.2, 0.1], [0.2, 2.0, 0.3], [0.1, 0.3, 3.0]])
    book.publish([replace(frame, label=replace(frame.label, stress_33=stress))])
    rotation = Rotation.from_rotvec([0.1, 2, -0.4]).as_matrix()
    turned = Configuration(
        "box", shape.numbers, shape.positions_A3 @ rotation + 3, cell_33=cell @ rotation
    )
    (found,) = book.find([Job(turned, CCSD, Purpose.TRAIN)])
    np.testing.assert_allclose(found.label.stress_33, rotation.T @ stress @ rotation, atol=1e-9)
    only_atoms = replace(turned, cell_33=cell)
    assert book.find([Job(only_atoms, CCSD, Purpose.TRAIN)]) == ()


def test_a_book_that_can_t_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--labels"):
        LabelBook(tmp_path / "file" / "labels.sqlite", Run.here("a", tmp_path))
