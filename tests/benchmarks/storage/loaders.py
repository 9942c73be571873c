"""Frames a second that each kind of data set gives a trainer, at batches of 32.

    .venv/bin/python tests/benchmarks/storage/loaders.py [--frames 20000]

Frames of 21 atoms, one process, no edges; `peak` is what streaming a store adds to the memory of
the process, with a window of eight blocks of 1000 frames.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from multiprocessing import Process
from pathlib import Path

from frames_at_hand import arrays, labels
from torch.utils.data import DataLoader
from torch_geometric.loader import DataLoader as PygLoader

from forgefield.storage.datasets import BlockShuffle, PlainFrames, SharedBatches
from forgefield.storage.datasets.ase_data import AseFrames
from forgefield.storage.datasets.pyg_data import PygFrames
from forgefield.storage.datasets.torch_data import TorchFrames, TorchStream, collate
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frames import Frames

BATCH = 32
Loaders = dict[str, tuple[int, Callable[[], Iterable[object]]]]


def main() -> None:
    """Write a store, stream it, load it, and print a line a data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    count = parser.parse_args().frames
    print(f"{count} frames, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.zarr"
        writer = Process(target=write, args=(path, count))
        writer.start()
        writer.join()
        before = peak_mb()
        report("BlockShuffle", count, lambda: BlockShuffle(path, BATCH))
        print(f"    peak of streaming: {peak_mb() - before:.0f} MB more")
        stream = TorchStream(BlockShuffle(path, BATCH))
        report("TorchStream", count, lambda: DataLoader(stream, batch_size=None))
        for name, (frames, loader) in loaders(load_frames(path)).items():
            report(name, frames, loader)


def write(path: Path, count: int) -> None:
    """Fill a store, in a process of its own so that its memory doesn't count."""
    with FrameStore.open_for_writing(path) as store:
        store.append(labels(arrays(count)))


def loaders(frames: Frames) -> Loaders:
    """Each data set in memory, and of how many frames; the slow ones of fewer."""
    count, fewer = len(frames), 2000
    torch_data, pyg_data = TorchFrames(frames), PygFrames(frames)
    shared = SharedBatches(count, BATCH)
    return {
        "TorchFrames": (
            count,
            lambda: DataLoader(torch_data, batch_sampler=shared, collate_fn=collate),
        ),
        "PygFrames": (count, lambda: DataLoader(pyg_data, sampler=shared, batch_size=None)),
        "PygFrames, PyG's loader": (count, lambda: PygLoader(pyg_data, BATCH)),
        "PlainFrames": (count, lambda: PlainFrames(frames)),
        "AseFrames": (fewer, lambda: AseFrames(frames)[:fewer]),
    }


def report(name: str, frames: int, loader: Callable[[], Iterable[object]]) -> None:
    """Frames a second, the best of three epochs."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        for _batch in loader():
            pass
        seconds.append(time.perf_counter() - start)
    print(f"{name:26s} {frames / min(seconds):12,.0f} frames/s", flush=True)


def peak_mb() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
