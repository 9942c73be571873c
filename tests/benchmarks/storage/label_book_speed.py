"""How long a claim takes in a full label book.

    python tests/benchmarks/storage/label_book_speed.py [--labels 100000] [--place URL]

Fills a book with labels of aspirin-size geometries of one molecule, sampled around one structure as
molecular dynamics would, then claims 1,000 jobs (half of them turned copies of what is there), one
job, and publishes. Aim: 1,000 jobs in 0.5 s.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.records import Configuration, Job, Label, Provenance, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import CCSD
from forgefield.storage.units import to_micro

ATOMS, SPREAD_A, AT_ONCE, REPEATS = 21, 0.08, 5000, 5
SPECIES = (6,) * 9 + (8,) * 4 + (1,) * 8
ORIGIN = Provenance("pyscf", "2.14", "node1", 1, 40.0, 40.0, {"t1": 0.01})


def job_at(positions_A3: np.ndarray) -> Job:
    """A CCSD(T) job."""
    return Job(Configuration("aspirin", SPECIES, positions_A3), CCSD, Purpose.TRAIN)


def bought(job: Job, number: int) -> StoredFrame:
    """Its label."""
    label = Label(-1e4, np.sin(job.configuration.positions_A3), ORIGIN)
    return StoredFrame(number, job, label, to_micro(40.0))


def timed(work: Callable[[], Any]) -> float:
    """Seconds that work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Fill, claim, publish, print."""
    options = argparse.ArgumentParser()
    options.add_argument("--labels", type=int, default=100_000)
    options.add_argument("--place", default="")
    asked = options.parse_args()
    random = np.random.default_rng(0)
    middle_A3 = random.normal(scale=2.5, size=(ATOMS, 3))

    def shapes(count: int) -> np.ndarray:
        return middle_A3 + random.normal(scale=SPREAD_A, size=(count, ATOMS, 3))

    with tempfile.TemporaryDirectory() as folder:
        place = asked.place or str(Path(folder) / "labels.sqlite")
        with LabelBook(place, Run.here("b" * 32, Path(folder))) as book:
            known, fill_s = np.empty((0, ATOMS, 3)), 0.0
            for start in range(0, asked.labels, AT_ONCE):
                part = shapes(min(AT_ONCE, asked.labels - start))
                frames = [bought(job_at(shape), start + n) for n, shape in enumerate(part)]
                fill_s += timed(lambda frames=frames: book.publish(frames))
                known = part
            print(f"publish {asked.labels} labels: {asked.labels / fill_s:,.0f} a second")
            turn = Rotation.random(rng=random).as_matrix()
            claims, looks, ones = [], [], []
            for _ in range(REPEATS):
                chosen = known[random.choice(len(known), 500, replace=False)] @ turn + 1.0
                jobs = [job_at(shape) for shape in np.concatenate([chosen, shapes(500)])]
                looks.append(timed(lambda jobs=jobs: book.look(jobs)))
                claims.append(timed(lambda jobs=jobs: book.claim(jobs)))
                assert len(book.claim(jobs).found) == 500
                ones.append(timed(lambda: book.claim([job_at(shapes(1)[0])])))
            size = Path(place).stat().st_size / asked.labels if not asked.place else float("nan")
    for name, times in (("claim 1000", claims), ("look 1000", looks), ("claim 1", ones)):
        print(f"{name}: best {min(times):.4f} s, worst {max(times):.4f} s of {REPEATS}")
    print(f"{size:,.0f} bytes a label in SQLite")


if __name__ == "__main__":
    main()
