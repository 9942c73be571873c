"""Ten thousand labelers in virtual time: `python tests/benchmarks/dispatch/simulate.py`.

The dispatcher and the ledger (SQLite, by default in memory) are the real ones; see `virtual` for
what is not. A decision is one reservation, from choosing it to its settlement. Printed are the CPU
microseconds of dispatcher and ledger a decision, over the first tenth (once all labelers are busy)
and the last tenth of the time until the last label was started, after which labels are settled
without a decision; packing into the frame store, wall microseconds a label; and the share of that
time that labelers spent inside labels. With `--pretend` there is no ledger, only the dispatcher.
"""

import argparse
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from pretend import PretendLedger
from virtual import Meter, VirtualCrew, VirtualLedger

from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Configuration, Job, Method, Purpose, Tier

METHOD = Method(Tier.XTB, "virtual")
CASES = (
    (100, 1_000, 1),
    (100, 10_000, 1),
    (100, 100_000, 1),
    (1_000, 100_000, 1),
    (10_000, 100_000, 1),
    (10_000, 1_000_000, 20),
)
HEAD = (
    f"{'labelers':>9s}{'labels':>11s}{'batch':>6s}{'dispatcher':>18s}{'ledger':>18s}"
    f"{'packing':>9s}{'busy':>8s}{'hours':>7s}{'wall s':>8s}"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Decisions so far; wall seconds of dispatcher and ledger; CPU seconds of the process."""

    decisions: int
    dispatcher: float
    ledger: float
    wall: float
    cpu: float


def main() -> None:
    """Run all cases and print a line each."""
    asked = _asked()
    print(f"load average {os.getloadavg()[0]:.1f}; CPU us a decision: first -> last tenth\n{HEAD}")
    for labelers, labels, batch in asked.case or CASES:
        with tempfile.TemporaryDirectory(dir=asked.folder) as name:
            kind = PretendLedger if asked.pretend else VirtualLedger
            _simulate(Path(name) / "run", kind, (labelers, labels, batch), asked.seconds)


def _simulate(folder: Path, kind: Any, case: tuple[int, int, int], seconds: float) -> None:
    labelers, labels, batch = case
    meter, wall = Meter(), perf_counter()
    ledger: Any = kind(folder, meter)
    ledger.set_cap(10**15, "simulation")
    crew = VirtualCrew(labelers, ledger, meter, seconds)
    samples: list[Sample] = []
    busy: list[float] = []
    order = Order(_jobs(labels), labels, Tier.XTB, seconds)

    def look(_: object = None) -> None:
        with crew.unnoticed():
            if not busy:
                samples.append(_sample(crew, meter, wall))
            if not order.jobs and not busy:
                busy.append(crew.busy_share())

    settings = LabelSettings(batch_core_seconds=1e9, largest_batch=batch, wave=labels)
    dispatcher: Any = Dispatcher(crew, ledger, settings, look)
    look()
    dispatcher.buy([order])
    _show(samples, meter, crew, case, busy[0], perf_counter() - wall)
    ledger.close()
    if labels <= 100_000 and kind is VirtualLedger:
        with Ledger(f"sqlite:///{folder}/ledger.sqlite", read_only=True) as books:
            assert books.verify(folder / "frames.zarr") == []


def _sample(crew: VirtualCrew, meter: Meter, began: float) -> Sample:
    wall_s = perf_counter() - began
    rest = meter.ledger + meter.packing + meter.ours
    return Sample(crew.started, wall_s - rest, meter.ledger, wall_s, process_time())


def _show(
    samples: Sequence[Sample],
    meter: Meter,
    crew: VirtualCrew,
    case: tuple[int, ...],
    busy: float,
    wall_s: float,
) -> None:
    labelers, labels, batch = case
    started = samples[-1].decisions
    full = min(labelers, started // 2)
    tenth = (started - full) // 10
    steps = (full, full + tenth, started - tenth, started)
    marks = [_at(samples, decisions) for decisions in steps]
    first, last = _rates(marks[0], marks[1]), _rates(marks[2], marks[3])
    print(
        f"{labelers:9,d}{labels:11,d}{batch:6d}{first[0]:9,.0f} ->{last[0]:6,.0f}"
        f"{first[1]:9,.0f} ->{last[1]:6,.0f}{1e6 * meter.packing / labels:9,.0f}{busy:8.1%}"
        f"{crew.now() / 3600:7.2f}{wall_s:8.0f}",
        flush=True,
    )


def _at(samples: Sequence[Sample], decisions: float) -> Sample:
    return min(samples, key=lambda sample: abs(sample.decisions - decisions))


def _rates(one: Sample, other: Sample) -> tuple[float, float]:
    """CPU microseconds a decision of dispatcher and ledger between two moments."""
    share = (other.cpu - one.cpu) / max(1e-9, other.wall - one.wall)
    micro = 1e6 * share / max(1, other.decisions - one.decisions)
    return micro * (other.dispatcher - one.dispatcher), micro * (other.ledger - one.ledger)


def _jobs(count: int) -> deque[Job]:
    """Waters that differ."""
    shapes = np.random.default_rng(1).normal(size=(count, 3, 3))
    return deque(Job(Configuration("water", (8, 1, 1), x), METHOD, Purpose.TRAIN) for x in shapes)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case",
        type=lambda text: tuple(map(int, text.split(","))),
        action="append",
        help="labelers,labels,batch; may be given several times",
    )
    parser.add_argument("--pretend", action="store_true", help="without a ledger")
    parser.add_argument("--seconds", type=float, default=30.0, help="mean time of a label")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="for the ledger")  # noqa: S108
    return parser.parse_args()


if __name__ == "__main__":
    main()
