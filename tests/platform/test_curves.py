"""Plots hold the numbers they are made from."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from forgefield.platform.drawing.curves import (
    Curve,
    learning,
    parity_figure,
    plot_learning,
    plot_parity,
)
from forgefield.platform.drawing.figures import drawing
from forgefield.platform.reporting.calibration import (
    calibration_figure,
    calibration_picture,
    plot_calibration,
)
from forgefield.storage.frames import Frames
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import CCSD, labelled, make_job
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import Interval
from forgefield.trainers.uncertainty.reliability import Reliability, reliability


@pytest.fixture
def frames() -> Frames:
    """Thirty labelled frames of one molecule."""
    jobs = [make_job(3 * number, CCSD) for number in range(30)]
    outcomes = [labelled(job).result for job in jobs]
    pairs = zip(jobs, outcomes, strict=True)
    return from_stored([StoredFrame(n, job, label, 1) for n, (job, label) in enumerate(pairs)])


def test_parity_shows_forces_and_centred_energies_in_kcal(frames: Frames, tmp_path: Path) -> None:
    gap = 0.01 * np.random.default_rng(0).normal(size=frames.forces_A3.shape)
    both = {
        "ours": (frames.energy_F + 5, frames.forces_A3 + gap),
        "theirs": (frames.energy_F * 1.1, frames.forces_A3),
    }
    with drawing():
        figure = parity_figure(frames, both)
    left, right, lower, _ = figure.axes
    dots = left.lines[1]
    np.testing.assert_allclose(dots.get_xdata(), frames.forces_A3.ravel() * KCAL_PER_MOL_PER_EV)
    np.testing.assert_allclose(
        np.asarray(dots.get_ydata()) - np.asarray(dots.get_xdata()),
        gap.ravel() * KCAL_PER_MOL_PER_EV,
    )
    shift = np.asarray(right.lines[1].get_ydata()) - np.asarray(right.lines[1].get_xdata())
    np.testing.assert_allclose(shift, 0, atol=1e-9)
    mae = np.abs(gap).mean() * KCAL_PER_MOL_PER_EV
    assert left.texts[0].get_text().startswith(f"MAE {mae:.3g}")
    assert lower.texts[0].get_text() == "MAE 0\nRMSE 0"
    plot_parity(tmp_path / "parity.png", frames, both)
    assert (tmp_path / "parity.png").stat().st_size > 10_000


def test_learning_curves_are_sorted_and_leave_unknown_ends_open(tmp_path: Path) -> None:
    points = [Interval(0.2, 0.1, 0.4), Interval(0.8, -np.inf, np.inf), Interval(0.4, 0.3, 0.5)]
    curve = Curve("ours", (200, 50, 100), points)
    figure = Figure()
    learning(figure.subplots(), [curve])
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [50, 100, 200]
    assert list(axes.lines[0].get_ydata()) == [0.8, 0.4, 0.2]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    bars = [segment for segment in axes.collections[0].get_segments() if len(segment)]
    assert bars[-1][:, 1].tolist() == pytest.approx([0.1, 0.4])
    assert len(bars) == 2
    plot_learning(tmp_path / "curve.png", [curve, Curve("other", (50,), points[:1])])
    assert (tmp_path / "curve.png").stat().st_size > 5_000


@pytest.fixture
def found(frames: Frames) -> Reliability:
    """Errors twice as large as they are expected to be."""
    random = np.random.default_rng(1)
    sigma_A = np.exp(random.normal(-3, 0.5, len(frames.numbers)))
    forces = frames.forces_A3 + 2 * sigma_A[:, None] * random.normal(size=frames.forces_A3.shape)
    return reliability(forces, sigma_A, frames)


def test_the_calibration_curve_is_drawn_as_found(found: Reliability, tmp_path: Path) -> None:
    with drawing():
        figure = calibration_figure(found)
        shown = calibration_picture(found)
    left, right = figure.axes
    expected = np.array([each.predicted for each in found.bins]) * KCAL_PER_MOL_PER_EV
    np.testing.assert_allclose(np.asarray(left.lines[1].get_xdata(), float), expected)
    ratio = np.asarray(left.lines[1].get_ydata(), float) / expected
    assert np.median(ratio) == pytest.approx(2, rel=0.2)
    covered = np.asarray(right.lines[1].get_ydata())
    np.testing.assert_allclose(covered[1:-1], 100 * np.array(found.coverage))
    assert (covered[1:-1] < np.asarray(right.lines[1].get_xdata())[1:-1]).all()
    assert "30 frames" in shown.svg
    plot_calibration(tmp_path / "calibration.png", found)
    assert (tmp_path / "calibration.png").stat().st_size > 10_000
