"""Frames a second in and out of the frame store and of other formats, side by side.

    .venv/bin/python tests/benchmarks/storage/compare.py [--frames 100000] [--folder DIR]

Frames of 21 atoms. Appends are durable when they return. Slow formats (ASE db, extended XYZ) are
timed on 2,000 frames, single appends on 100. Files are in the page cache when read.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from frames_at_hand import Arrays, arrays, labels
from rivals import RIVALS, Rival

from forgefield.storage.datasets import BlockShuffle, FlatFrames, SharedBatches
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.settled_frames import StoredFrame

BATCH = 32
SINGLE = 100
COLUMNS = ("format", "append 5000", "append 1000", "one by one", "load all", "batches of 32",
           "bytes/frame")  # fmt: skip
AIMS = ("aim", "20,000", "20,000", "", "100,000", "100,000 / 50,000", "")
Row = tuple[str, ...]


def main() -> None:
    """Time ours and the others, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary one")
    asked = parser.parse_args()
    made = arrays(asked.frames)
    print(f"{asked.frames} frames, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
    for cells in (COLUMNS, ("---",) * len(COLUMNS), AIMS):
        show(cells)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for row in ours(Path(folder), labels(made)):
            show(row)
        for ending, kind in RIVALS.items():
            show(other(kind, Path(folder) / f"frames.{ending}", made))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def show(cells: Row) -> None:
    """One line of the table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def ours(folder: Path, frames: list[StoredFrame]) -> Iterable[Row]:
    """The frame store; batches from memory, and beyond it by block shuffle."""
    path, count = folder / "frames.zarr", len(frames)
    appends = [append_ours(folder / f"by{n}.zarr", frames, n) for n in (5000, 1000)]
    single = append_ours(folder / "single.zarr", frames[:SINGLE], 1)
    (folder / "by5000.zarr").rename(path)
    load = rate(count, lambda: load_frames(path))
    flat = FlatFrames.of(load_frames(path))
    memory = rate(count, lambda: spent(map(flat.batch, SharedBatches(count, BATCH))))
    shuffle = BlockShuffle(path, BATCH)
    beyond = rate(count, lambda: spent(shuffle))
    speeds = [f"{speed:,.0f}" for speed in (*appends, single, load)]
    batches = f"{memory:,.0f} / {beyond:,.0f}"
    yield ("ours", *speeds, batches, f"{size(path) / count:,.0f}")
    positions = np.concatenate([frame.job.configuration.positions_A3 for frame in frames])
    assert np.array_equal(load_frames(path).positions_A3, positions)


def append_ours(path: Path, frames: list[StoredFrame], batch: int) -> float:
    """Frames a second in appends of `batch`."""
    with FrameStore.open_for_writing(path) as store:
        return rate(
            len(frames),
            lambda: [store.append(frames[n : n + batch]) for n in range(0, len(frames), batch)],
            times=1,
        )


def other(kind: type[Rival], path: Path, made: Arrays) -> Row:
    """The same of another format."""
    count = min(len(made.energy), kind.most or len(made.energy))
    appends = [append_other(kind, path, made, count, batch) for batch in (1000, 1, 5000)]
    store, in_fives = appends[2]
    load = rate(count, store.load)
    dice = np.random.default_rng(0)
    batches = [dice.choice(count, BATCH, replace=False) for _ in range(100)]
    known = store.batch(batches[0]) is not None
    reads = rate(100 * BATCH, lambda: [store.batch(index) for index in batches]) if known else None
    speeds = [f"{s:,.0f}" for s in (in_fives, appends[0][1], appends[1][1], load)]
    store.close()
    return (kind.name, *speeds, f"{reads:,.0f}" if reads else "none", f"{size(path) / count:,.0f}")


def append_other(
    kind: type[Rival], path: Path, made: Arrays, count: int, batch: int
) -> tuple[Rival, float]:
    """A fresh file, and frames a second in appends of `batch`."""
    path.unlink(missing_ok=True)
    store = kind(path)
    last = SINGLE if batch == 1 else count
    steps = [(n, min(n + batch, last)) for n in range(0, last, batch)]
    speed = rate(last, lambda: [store.append(made, *step) for step in steps], times=1)
    if batch != 5000:
        store.close()
    return store, speed


def rate(frames: int, work: Callable[[], object], times: int = 3) -> float:
    """Frames a second, the best of `times`."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return frames / min(seconds)


def spent(batches: Iterable[object]) -> int:
    """Take all batches and drop them."""
    return sum(1 for _ in batches)


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


if __name__ == "__main__":
    main()
