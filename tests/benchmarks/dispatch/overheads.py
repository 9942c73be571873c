"""What a label costs beside its computing: `python tests/benchmarks/dispatch/overheads.py`.

No-op labels through ledger, dispatcher, Ray actors and frame store, one by one and in batches;
labels of `--seconds`, and the share of the time that the workers spent inside them; and, given
`--colmena PYTHON`, the same numbers of no-op tasks through Colmena's local task server. Ours are
durable when they count (two commits and a spool file each); Colmena has no ledger and keeps
nothing. Latencies are from reservation to settlement, by the ledger's own clock.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import ray
from noop import CHEAP, DEAR, bought, jobs, opened

from forgefield.platform.buying.dispatch import Order
from forgefield.storage.records import Method

CHILD = Path(__file__).with_name("colmena_child.py")
BATCH = 200
HEAD = f"{'':34s}{'labels':>8s}{'wall s':>9s}{'labels/s':>10s}{'p50 ms':>8s}{'p95 ms':>8s}"


def main() -> None:
    """Run and print a table."""
    asked = _asked()
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=asked.workers, **quiet)
    print(f"{asked.workers} workers, load average {os.getloadavg()[0]:.1f}\n{HEAD}")
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        _ours("no-op, one by one", folder / "dear", DEAR, asked.labels, asked.workers, 0.0, 20.0)
        _ours("no-op, batches", folder / "cheap", CHEAP, asked.cheap, asked.workers, 0.0, 0.05)
        if asked.long:
            title = f"{asked.seconds:g} s each"
            _ours(title, folder / "long", DEAR, asked.long, asked.workers, asked.seconds, 20.0)
    if asked.colmena:
        _colmena(asked)
    ray.shutdown()


def _ours(
    title: str, folder: Path, method: Method, count: int, workers: int, seconds: float, plan: float
) -> None:
    order = Order(jobs(count, method), count, method.tier, plan)
    batch = 1 if method is DEAR else BATCH
    with opened(folder, 1e9) as client:
        wall_s = bought(folder, client, order, workers, seconds, batch)
    latency = _latencies(folder / "ledger.sqlite")
    _show(f"forgefield, {title}", count, wall_s, *np.quantile(latency, [0.5, 0.95]))
    if seconds:
        print(f"{'':34s}busy share {count * seconds / wall_s / workers:.2%}")


def _latencies(ledger: Path) -> list[float]:
    connection = sqlite3.connect(ledger)
    rows = connection.execute("SELECT closed_at - opened_at FROM reservation").fetchall()
    connection.close()
    return [row[0] for row in rows]


def _colmena(asked: argparse.Namespace) -> None:
    for title, options in (
        ("processes, as many in flight", ["--in-flight", str(asked.workers)]),
        ("processes, all at once", ["--in-flight", "0"]),
        ("threads, as many in flight", ["--in-flight", str(asked.workers), "--threads"]),
    ):
        command = [asked.colmena, str(CHILD), "--tasks", str(asked.labels), *options]
        said = subprocess.run(
            [*command, "--workers", str(asked.workers)], check=True, capture_output=True, text=True
        )
        seen = json.loads(said.stdout.splitlines()[-1])
        _show(f"colmena, {title}", asked.labels, seen["wall_s"], seen["p50_s"], seen["p95_s"])


def _show(title: str, count: int, wall_s: float, middle_s: float, high_s: float) -> None:
    rate, low, high = count / wall_s, 1e3 * middle_s, 1e3 * high_s
    print(f"{title:34s}{count:8,d}{wall_s:9.2f}{rate:10,.0f}{low:8.1f}{high:8.1f}", flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1000, help="no-op labels one by one")
    parser.add_argument("--cheap", type=int, default=20_000, help="no-op labels in batches")
    parser.add_argument("--long", type=int, default=60, help="labels that last")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long those last")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="on the disk to measure [default: /tmp]")
    parser.add_argument("--colmena", help="a Python that has Colmena")
    return parser.parse_args()


if __name__ == "__main__":
    main()
