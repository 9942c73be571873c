"""zarr, xarray and tensorstore open the store while another process appends to it.

Labels follow from geometries, so whatever is torn or mixed up shows in the numbers.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import xarray
import zarr

Snapshot = Mapping[str, np.ndarray]
NAMES = ("ptr", "energy", "positions", "forces", "numbers", "seq")
LATER = ("withdraws", "added_twice_seq")
OPENS, SNAPSHOTS = 200, 25
"""How often each opens the store at least, and how many states of it they see."""


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "frames.zarr"
    script = Path(__file__).with_name("growing_store.py")
    command = [sys.executable, str(script), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603
        assert writer.stdout is not None
        assert writer.stdout.readline(), "the writer died"
        yield path
        assert writer.poll() is None, "the writer died"
        writer.kill()


def with_zarr(path: Path) -> Snapshot:
    group = zarr.open_group(path, mode="r")
    return {n: np.asarray(group[n][...]) for n in (*NAMES, *LATER) if n in group}  # type: ignore[index]


def with_xarray(path: Path) -> Snapshot:
    with xarray.open_zarr(path, chunks=None, mask_and_scale=False) as dataset:
        return {n: dataset[n].values for n in (*NAMES, *LATER) if n in dataset}


def with_tensorstore(path: Path) -> Snapshot:
    """One array after another, each with its own metadata: `ptr` first, which is committed last."""
    names = [*NAMES, *(name for name in LATER if (path / name / "zarr.json").exists())]
    return {name: _tensorstore_array(path / name) for name in names}


def _tensorstore_array(path: Path) -> Any:
    place = {"driver": "file", "path": str(path)}
    return (
        tensorstore.open({"driver": "zarr3", "kvstore": place}, read=True)
        .result()[...]
        .read()
        .result()
    )


def check(snapshot: Snapshot, *, exact: bool) -> tuple[int, int]:
    """Frames and withdrawals of a snapshot in which every number is right."""
    ptr = snapshot["ptr"]
    frames, atoms = len(ptr) - 1, int(ptr[-1])
    assert ptr[0] == 0
    for name in ("positions", "forces", "numbers"):
        assert len(snapshot[name]) == atoms if exact else len(snapshot[name]) >= atoms
    for name in ("energy", "seq"):
        assert len(snapshot[name]) == frames if exact else len(snapshot[name]) >= frames
    assert snapshot["seq"][:frames].tolist() == list(range(1, frames + 1))
    withdrawals = np.flatnonzero(np.diff(ptr) == 0)
    labels = np.setdiff1d(np.arange(frames), withdrawals)
    positions = snapshot["positions"][:atoms]
    np.testing.assert_array_equal(snapshot["forces"][:atoms], np.sin(positions))
    sums = np.add.reduceat(positions.sum(axis=1), ptr[labels])
    np.testing.assert_allclose(snapshot["energy"][labels], sums, rtol=0, atol=1e-12)
    assert np.isnan(snapshot["energy"][withdrawals]).all()
    check_later(snapshot, frames, withdrawals)
    return frames, len(withdrawals)


def check_later(snapshot: Snapshot, frames: int, withdrawals: np.ndarray) -> None:
    if "withdraws" in snapshot and len(snapshot["withdraws"]) >= frames:
        withdraws = snapshot["withdraws"][:frames]
        assert withdraws[withdrawals].tolist() == (withdrawals - 1).tolist()
        assert (np.delete(withdraws, withdrawals) == -1).all()
    if "added_twice_seq" in snapshot:
        added = snapshot["added_twice_seq"]
        known = ~np.isnan(added)
        np.testing.assert_array_equal(added[known], 2.0 * (np.flatnonzero(known) + 1))


@pytest.mark.parametrize(
    ("reader", "exact"),
    [(with_zarr, True), (with_xarray, True), (with_tensorstore, False)],
    ids=["zarr", "xarray", "tensorstore"],
)
def test_each_of_many_opens_sees_a_whole_snapshot(
    growing: Path, reader: Callable[[Path], Snapshot], exact: bool
) -> None:
    seen = [check(reader(growing), exact=exact)]
    while len(seen) < OPENS or len(set(seen)) < SNAPSHOTS or not seen[-1][1]:
        seen.append(check(reader(growing), exact=exact))
    assert seen == sorted(seen)
    assert set(LATER) <= reader(growing).keys()
