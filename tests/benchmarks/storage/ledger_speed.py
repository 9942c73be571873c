"""How fast the ledger books: `python tests/benchmarks/storage/ledger_speed.py [--postgresql]`.

Labels bought one by one (reserve, settle: two durable commits each) and cheap ones in batches of
1000, on a ledger that holds `--before` labels already. Durable writes depend on the disk, so the
rate of bare fsyncs of 4 kB in the same folder is printed beside it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from postgres import running_server

from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Job
from forgefield.storage.testing import labelled, make_job, make_jobs

BATCH = 1000


def main() -> None:
    """Run and print a table."""
    asked = _asked()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        print(f"fsync of 4 kB: {_fsyncs(folder):,.0f}/s")
        for kind, url in _urls(asked.postgresql, folder):
            with Ledger(url) as ledger:
                ledger.set_cap(10**15, "benchmark")
                _fill(ledger, asked.before)
                print(f"{kind}, {asked.before:,} labels before:")
                _show("one by one", "labels", *_one_by_one(ledger, asked.single))
                _show(f"batches of {BATCH}", "frames", *_in_batches(ledger, asked.frames))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single", type=int, default=500, help="labels bought one by one")
    parser.add_argument("--frames", type=int, default=20_000, help="frames bought in batches")
    parser.add_argument("--before", type=int, default=0, help="labels booked before timing starts")
    parser.add_argument("--folder", type=Path, help="on the disk to measure [default: /tmp]")
    parser.add_argument("--postgresql", action="store_true", help="a PostgreSQL server as well")
    return parser.parse_args()


@contextmanager
def _server_url() -> Iterator[str]:
    with running_server() as server:
        yield server.new_database()


def _urls(postgresql: bool, folder: Path) -> Iterator[tuple[str, str]]:
    yield "SQLite", f"sqlite:///{folder}/ledger.sqlite"
    if postgresql:
        with _server_url() as url:
            yield "PostgreSQL", url


def _one_by_one(ledger: Ledger, count: int) -> tuple[int, float]:
    jobs = [make_job(10**8 + number) for number in range(count)]
    return count, _seconds(lambda: [_buy(ledger, [job]) for job in jobs])


def _in_batches(ledger: Ledger, count: int) -> tuple[int, float]:
    batches = [make_jobs(2 * 10**8 + first, BATCH) for first in range(0, count, BATCH)]
    return count, _seconds(lambda: [_buy(ledger, batch) for batch in batches])


def _fill(ledger: Ledger, count: int) -> None:
    for first in range(0, count, BATCH):
        _buy(ledger, make_jobs(first, BATCH))
    ledger.drop_from_inbox(frame.seq for frame in ledger.inbox())


def _buy(ledger: Ledger, jobs: list[Job]) -> None:
    number = ledger.reserve(jobs, 1000 * len(jobs))
    assert ledger.settle(number, [labelled(job) for job in jobs], 500 * len(jobs))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _show(name: str, unit: str, count: int, seconds: float) -> None:
    print(f"  {name:<18} {count:>8,} {unit} in {seconds:6.2f} s = {count / seconds:8,.0f} {unit}/s")


def _fsyncs(folder: Path, count: int = 200) -> float:
    with (folder / "probe").open("wb") as file:

        def write() -> None:
            for _ in range(count):
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())

        return count / _seconds(write)


if __name__ == "__main__":
    main()
