"""Two processes that label the same geometries at the same time, with ledger and store each."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.label_book.reconciling import Holdings, reconcile
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Purpose
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import CCSD, labelled, make_job, make_jobs
from forgefield.storage.units import to_micro

JOBS = 60
BUYER = """
import sys, time
from collections import deque
from pathlib import Path
import numpy as np
from dataclasses import replace
from scipy.spatial.transform import Rotation
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.ledger import Ledger
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import CCSD, labelled, make_jobs
from forgefield.storage.units import to_micro

folder, book_at, jobs, turn = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "b"
folder.mkdir()
todo = []
for job in make_jobs(0, jobs, CCSD):
    if turn:
        rotation = Rotation.from_rotvec([1.0, -0.5, 2.0]).as_matrix()
        shape = job.configuration
        moved = replace(shape, positions_A3=shape.positions_A3 @ rotation + 1.0)
        job = replace(job, configuration=moved)
    todo.append(job)
with RunLock(folder), Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger:
    ledger.set_cap(to_micro(1000), "test")
    with LabelBook(book_at, Run.here(sys.argv[4] * 32, folder)) as book:
        todo = deque(todo)
        (folder / "ready").touch()
        while len(list(folder.parent.glob("*/ready"))) < 2:
            time.sleep(0.005)
        while todo:
            asked = [todo.popleft() for _ in range(min(3, len(todo)))]
            claims = book.claim(asked)
            todo.extend(claims.busy)
            if claims.found:
                ledger.adopt([found.outcome for found in claims.found], "the other")
            if claims.granted:
                number = ledger.reserve(claims.granted, to_micro(9))
                time.sleep(0.01)
                ledger.settle(number, [labelled(job) for job in claims.granted], to_micro(3))
                book.publish(ledger.inbox())
            elif claims.busy:
                time.sleep(0.01)
"""


def buyer(folder: Path, book: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BUYER, str(folder), book, str(JOBS), folder.name]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603


def test_two_runs_at_once_never_both_pay(place: str, tmp_path: Path) -> None:
    """One has all geometries turned; each ends with all labels, of which every one is paid once."""
    both = [buyer(tmp_path / name, place) for name in ("a", "b")]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    paid: Counter[str] = Counter()
    for name in ("a", "b"):
        with Ledger(f"sqlite:///{tmp_path / name}/ledger.sqlite") as ledger:
            assert ledger.verify() == []
            frames = ledger.inbox()
            (row,) = ledger.tally()
        assert len(frames) == JOBS
        assert row.adopted + sum(frame.cost_micro > 0 for frame in frames) == JOBS
        paid[name] = row.done - row.adopted
    assert sum(paid.values()) == JOBS
    assert min(paid.values()) > 0, "both were at work"


def test_a_crash_between_settling_and_publishing_is_mended(place: str, tmp_path: Path) -> None:
    """Settled labels in the inbox, and packed ones, that the book has never heard of."""
    jobs, run = make_jobs(0, 6, CCSD), Run.here("a" * 32, tmp_path)
    with (
        RunLock(tmp_path),
        Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(tmp_path / "frames.zarr") as store,
        LabelBook(place, run) as book,
    ):
        ledger.set_cap(to_micro(1000), "test")
        for part in (jobs[:3], jobs[3:]):
            book.claim(part)
            number = ledger.reserve(part, to_micro(9))
            ledger.settle(number, [labelled(job) for job in part], to_micro(3))
            if part is not jobs[3:]:
                pack(ledger, store)
        book.claim([make_job(9, CCSD)])
        mended = reconcile(book, Holdings.of(ledger, tmp_path / "frames.zarr"))
        assert (mended.published, mended.released, mended.struck) == (6, 1, 0)
        again = reconcile(book, Holdings.of(ledger, tmp_path / "frames.zarr"))
        assert (again.published, again.released, again.struck) == (0, 0, 0)
        pack(ledger, store)
        found = book.find(jobs)
        frames = load_frames(tmp_path / "frames.zarr", tuple(Purpose))
        np.testing.assert_array_equal([f.label.energy for f in found], frames.energy_F)
        assert found[0].label.provenance == labelled(jobs[0]).result.provenance  # type: ignore[union-attr]


def test_a_withdrawn_label_is_struck_and_its_job_can_be_bought_again(
    place: str, tmp_path: Path
) -> None:
    jobs, run = make_jobs(0, 3, CCSD), Run.here("a" * 32, tmp_path)
    with (
        RunLock(tmp_path),
        Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(tmp_path / "frames.zarr") as store,
        LabelBook(place, run) as book,
    ):
        ledger.set_cap(to_micro(1000), "test")
        number = ledger.reserve(jobs, to_micro(9))
        ledger.settle(number, [labelled(job) for job in jobs], to_micro(3))
        book.publish(ledger.inbox())
        ledger.withdraw([jobs[0].key()], "wrong basis")
        pack(ledger, store)
        assert reconcile(book, Holdings.of(ledger, tmp_path / "frames.zarr")).struck == 1
        assert [found.job for found in book.find(jobs)] == jobs[1:]
        assert [job.key() for job in book.claim(jobs).granted] == [jobs[0].key()]
        number = ledger.reserve(jobs[:1], to_micro(9))
        ledger.settle(number, [labelled(jobs[0], wall_s=0.7)], to_micro(1))
        assert book.publish(ledger.inbox()) == 1
        assert len(book.find(jobs)) == 3


def test_a_label_bought_again_before_the_book_heard_of_the_first_takes_its_place(
    place: str, tmp_path: Path
) -> None:
    """Withdrawn while the book was out of reach; what is asked is which label, not which job."""
    (job,), run = make_jobs(0, 1, CCSD), Run.here("a" * 32, tmp_path)
    with (
        RunLock(tmp_path),
        Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(tmp_path / "frames.zarr") as store,
        LabelBook(place, run) as book,
    ):
        ledger.set_cap(to_micro(1000), "test")
        for wall_s in (0.3, 0.6):
            number = ledger.reserve([job], to_micro(9))
            ledger.settle(number, [labelled(job, wall_s=wall_s)], to_micro(3))
            if wall_s < 0.5:
                book.publish(ledger.inbox())
                ledger.withdraw([job.key()], "wrong basis")
            pack(ledger, store)
        mended = reconcile(book, Holdings.of(ledger, store.path))
        assert (mended.struck, mended.published) == (1, 1)
        (found,) = book.find([job])
        assert found.label.provenance.wall_s == 0.6
        again = reconcile(book, Holdings.of(ledger, store.path))
        assert (again.struck, again.published) == (0, 0)


def test_two_processes_may_make_the_book_at_the_same_moment(tmp_path: Path) -> None:
    opening = (
        "import sys; from pathlib import Path; from forgefield.storage.label_book import *; "
        "LabelBook(sys.argv[1], Run.here(sys.argv[2], Path(sys.argv[1]).parent)).close()"
    )
    command = [sys.executable, "-c", opening, str(tmp_path / "new" / "labels.sqlite")]
    makers = [
        subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True)  # noqa: S603
        for n in range(3)
    ]
    assert [maker.communicate(timeout=240)[1] for maker in makers] == [""] * 3


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_store_that_isn_t_there_yet_needs_no_mending(place: str, tmp_path: Path) -> None:
    with (
        Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger,
        LabelBook(place, Run.here("a" * 32, tmp_path)) as book,
    ):
        assert reconcile(book, Holdings.of(ledger, tmp_path / "none.zarr")).published == 0
