"""Learning curves: nested sets, held-out geometries, one pre-training for all sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spring_files as springs
from spring_benchmark import asked_in
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve
from forgefield.platform.benchmarking.kinds import CurveKind
from forgefield.platform.benchmarking.publishing.publish import publish
from forgefield.platform.benchmarking.publishing.tables import distances_of, grids_of
from forgefield.platform.benchmarking.results import Results
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier

FRAMES = 60
SIZES = (4, 8)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Two methods on the same geometries in the same order."""
    folder = tmp_path_factory.mktemp("files")
    positions = springs.distortions(FRAMES, 1)
    return asked_in(folder, positions, positions, validation=5, test_frames=20)


@pytest.fixture(scope="module")
def results(asked: Asked) -> Results:
    return benchmark_curve(asked, CurveTerms(SIZES), Listener())


def test_every_size_is_trained_both_ways(results: Results) -> None:
    found = sorted((row.row, row.seed, row.accurate, row.cheap) for row in results.rows)
    assert found == sorted(
        (kind, seed, size, FRAMES - 25 if kind == CurveKind.TUNED else 0)
        for kind in (CurveKind.STANDARD, CurveKind.TUNED)
        for seed in (0, 1)
        for size in SIZES
    )
    for row in results.rows:
        assert row.score.frames == 20
        assert np.isfinite(row.score.force_mae)


def test_held_out_geometries_are_in_no_store_and_sets_are_nested(
    asked: Asked, results: Results
) -> None:
    order = np.random.RandomState(0).permutation(FRAMES)
    draw = results.draws["0"]
    assert draw.train == tuple(order[:8])
    assert draw.validation == tuple(order[-5:])
    assert draw.test == tuple(order[8:28])
    positions = springs.distortions(FRAMES, 1)
    held = {positions[place].tobytes() for place in draw.test}
    trained: dict[tuple[int, int], set[bytes]] = {}
    for store in (asked.out / "frames").glob("*.zarr"):
        frames = load_frames(store, tuple(Purpose))
        seen = frames.positions_A3.reshape(-1, 4, 3)
        assert not held & {each.tobytes() for each in seen}
        accurate = frames.of_tier(Tier.CCSD).of_purpose(Purpose.TRAIN)
        cheap = frames.of_tier(Tier.DFT)
        rows = accurate.positions_A3.reshape(-1, 4, 3)
        trained[len(accurate), len(cheap)] = {row.tobytes() for row in rows}
        if len(cheap):
            judged = {positions[place].tobytes() for place in draw.validation}
            low = {row.tobytes() for row in cheap.positions_A3.reshape(-1, 4, 3)}
            assert not judged & low
            assert trained[8, 35] <= low
    assert trained[4, 0] < trained[8, 0]


def test_curves_are_drawn_and_found_again(asked: Asked, results: Results) -> None:
    again = benchmark_curve(asked, CurveTerms(SIZES), Listener())
    assert [row.score for row in again.rows] == [row.score for row in results.rows]
    names = [path.name for path in publish(again, asked.out)]
    assert names == ["results.json", "results.md", "parity.png", "curve.png"]
    table = grids_of(again)[0]
    assert table.head == ("training", "cheap labels", "4", "8")
    assert [line[:2] for line in table.rows] == [("standard", "0"), ("fine-tuned", "35")]


def test_more_sizes_later_count_distances_of_all_rows_from_the_same_frames(
    asked: Asked, tmp_path: Path
) -> None:
    """With a test file the draw of more sizes has the same test frames; the nearest ones differ."""
    test = springs.write(tmp_path / "test.npz", springs.distortions(30, 7), springs.ACCURATE)
    more = replace(asked, test=test, test_frames=None, seeds=1, out=tmp_path / "out")
    few = benchmark_curve(more, CurveTerms((4,)), Listener())
    found = benchmark_curve(more, CurveTerms((4, 12)), Listener())
    assert few.draws["0"].test == found.draws["0"].test
    (grid,) = distances_of(found)
    assert "nearest of the 12 accurate frames" in grid.title
    assert len(grid.rows) == 4
    old = few.rows[0].score
    standard = [row for row in found.rows if row.row == CurveKind.STANDARD]
    (same,) = (row.score for row in standard if row.accurate == 4)
    assert same.force_mae == old.force_mae
    assert same.by_distance != old.by_distance


def test_sizes_are_checked(asked: Asked) -> None:
    with pytest.raises(InputError, match="no sizes"):
        benchmark_curve(asked, CurveTerms(()), Listener())
    with pytest.raises(InputError, match="60 frames to train on and 5"):
        benchmark_curve(asked, CurveTerms((60,)), Listener())


def test_files_that_hold_only_judged_geometries_are_refused(asked: Asked, tmp_path: Path) -> None:
    order = np.random.RandomState(0).permutation(FRAMES)
    positions = springs.distortions(FRAMES, 1)[order[8:28]]
    cheap = springs.write(tmp_path / "few.npz", positions, springs.CHEAP)
    with pytest.raises(InputError, match="Every cheap frame"):
        benchmark_curve(replace(asked, cheap=cheap), CurveTerms(SIZES), Listener())
