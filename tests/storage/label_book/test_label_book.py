"""Who finds, who is granted, who waits: claims, labels and withdrawals between runs."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sqlalchemy import event, text, update
from sqlalchemy.engine import make_url

from forgefield.storage.errors import InputError
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.label_book.publishing import Held, Withdrawn
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


def held(frame: StoredFrame) -> Held:
    """The label as its run names it."""
    return Held.of(frame.job.key(), frame.label.energy, frame.label.provenance.wall_s)


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
    a, far = opened("a"), opened("dead")
    job = make_job(1, CCSD)
    far.claim([job])
    moved_away = update(run).where(run.c.id == runs["dead"].id).values(host="elsewhere")
    a._database.write(lambda c: c.execute(moved_away))
    waiting = a.claim([job])
    assert waiting.busy
    assert waiting.holders == ("dead",)
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
    label = bought(job).label
    right = Held.of(job.key(), label.energy + 1, label.provenance.wall_s)
    assert b.strike([right]) == 0, "another label of the same job"
    assert b.strike([held(bought(job))]) == 1, "who took it may find it wrong"
    assert b.withdrawn_elsewhere() == [Withdrawn(held(bought(job)), "a")]
    assert a.withdrawn_elsewhere() == []
    assert a.find([job]) == ()
    assert a.publish([bought(job)]) == 0
    assert a.claim([job]).granted
    assert a.publish([bought(job, wall_s=0.7)]) == 1
    assert len(b.find([job])) == 1


def test_nothing_is_shared_by_accident(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    a.publish([bought(make_job(1, CCSD))])
    assert b.strike([held(bought(make_job(1, CCSD)))]) == 0
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


def test_a_lock_that_can_t_be_asked_after_is_known_by_silence(
    opened: Opener, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that another user closed: not for ever, then."""
    a, closed = opened("a"), opened("dead")
    job = make_job(1, CCSD)
    closed.claim([job])

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (Path(runs["dead"].folder) / "run.lock").write_text("{}")
    monkeypatch.setattr("forgefield.storage.run_lock.fcntl.flock", forbidden)
    assert a.claim([job]).busy
    silent = update(run).where(run.c.id == runs["dead"].id).values(seen_at=time.time() - SILENCE_S)
    a._database.write(lambda c: c.execute(silent))
    assert a.claim([job]).granted


def test_a_run_whose_folder_became_a_file_is_dead(
    opened: Opener, runs: dict[str, Run], tmp_path: Path
) -> None:
    (tmp_path / "gone").write_text("")
    runs["dead"] = replace(runs["dead"], folder=str(tmp_path / "gone" / "run"))
    a, gone = opened("a"), opened("dead")
    gone.claim([make_job(1, CCSD)])
    assert a.claim([make_job(1, CCSD)]).granted


def test_a_live_run_that_is_silent_is_not_waited_for(opened: Opener) -> None:
    """Stopped for the night with its lock held, say."""
    a, b = opened("a"), opened("b")
    job = make_job(1, CCSD)
    b.claim([job])
    assert a.claim([job]).busy
    silent = update(run).where(run.c.name == "b").values(seen_at=time.time() - 100)
    a._database.write(lambda c: c.execute(silent))
    assert a.claim([job]).busy
    a._silence_s = 99.0
    assert a.claim([job]).granted


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_file_is_not_shared_by_two_hosts_at_once(
    place: str, opened: Opener, runs: dict[str, Run]
) -> None:
    a = opened("a")
    far = replace(runs["dead"], host="elsewhere")
    with pytest.raises(InputError, match=r"a on .*postgresql://"):
        LabelBook(place, far)
    a.check_out()
    LabelBook(place, far).close()


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_server_is_shared_by_hosts_and_its_schemas_are_used(
    place: str, opened: Opener, runs: dict[str, Run]
) -> None:
    opened("a")
    LabelBook(place, replace(runs["dead"], host="elsewhere")).close()
    in_schema = make_url(place).update_query_dict({"schema": "lab"})
    with LabelBook(in_schema.render_as_string(hide_password=False), runs["b"]) as lab:
        lab.publish([bought(make_job(1, CCSD))])
        count = text("SELECT count(*) FROM lab.label")
        assert lab._database.read(lambda c: c.execute(count).scalar_one()) == 1
    assert opened("b").find([make_job(1, CCSD)]) == ()


def test_a_path_may_hold_any_character(tmp_path: Path, runs: dict[str, Run]) -> None:
    path = tmp_path / "what?mode=ro#100%" / "labels.sqlite"
    with LabelBook(path, runs["a"]) as book:
        book.publish([bought(make_job(1, CCSD))])
    assert path.exists()


def test_noting_what_is_taken_reads_no_more_than_that(opened: Opener) -> None:
    a, b = opened("a"), opened("b")
    jobs = make_jobs(0, 30, CCSD)
    a.publish([bought(job) for job in jobs])
    found = b.find(jobs)
    b.note_taken(found)
    read = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT taken"):
            read.append(statement)

    event.listen(b._database._engine, "after_cursor_execute", count)
    b.note_taken(found[:2])
    assert all("taken.label IN" in statement for statement in read)
    assert len(read) == 1
