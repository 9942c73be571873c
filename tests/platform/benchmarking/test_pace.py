"""The time that a benchmark has left, by a clock at hand; and what its listeners hear of it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from spring_benchmark import TERMS
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.pace import ALL, Pace, WithTimeLeft

Heard = list[tuple[str, int, int, str]]


@dataclass
class Ears(Listener):
    """Keeps every bar."""

    bars: Heard = field(default_factory=list)
    stop_at: str = ""

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Keep it."""
        self.bars.append((name, done, total, detail))


class Clock:
    """Stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_one_stage_after_another_at_half_a_second_a_step() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    assert pace.left_s is None
    for stage in ("a", "b"):
        for step in (10, 20, 100):
            pace.at(stage, step)
            if step < 100:
                clock.now += 5 if step == 10 else 40
        pace.ended(stage)
        clock.now += 77.0
    assert pace.done == 200
    assert pace.left_s == pytest.approx(800 * 0.5)


def test_steps_of_an_earlier_process_and_finished_stages_are_no_work() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    pace.settle(300)
    pace.at("resumed", 80)
    assert pace.left_s is None
    clock.now += 20
    pace.at("resumed", 90)
    assert (pace.done, pace.left_s) == (390, pytest.approx(610 * 2.0))
    pace.settle(400)
    assert pace.done == 400


def test_stages_side_by_side_share_what_is_left() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    for step in (0, 10, 20):
        for stage in ("a", "b"):
            pace.at(stage, step)
            pace.at(stage, step)
        clock.now += 10
    assert pace.left_s == pytest.approx((1000 - 40) * 1.0 / 2)
    pace.ended("a")
    assert pace.left_s == pytest.approx(960.0)


def test_listeners_hear_the_time_left() -> None:
    clock, ears = Clock(), Ears()
    reporter = WithTimeLeft(ears, Pace(1000, clock))
    reporter.bar("a", 10, 500)
    clock.now += 60
    reporter.bar("a", 40, 500, "validation 2")
    assert ears.bars == [
        ("a", 10, 500, ""),
        (ALL, 10, 1000, ""),
        ("a", 40, 500, "validation 2"),
        (ALL, 40, 1000, "about 32 min left"),
    ]


def test_a_benchmark_counts_all_of_its_steps(asked: Asked, tmp_path: Path) -> None:
    """Once through all, and once where some was there: what is done ends as what there was."""
    once = replace(asked, out=tmp_path, seeds=1)
    for kinds, first, total in (
        ((Kind.STANDARD,), 4, 12),
        ((Kind.STANDARD, Kind.FULL), 12 + 4, 12 + 12 + 2 * 20),
    ):
        ears = Ears()
        benchmark_asteroid(once, replace(TERMS, kinds=kinds), ears)
        heard = [bar for bar in ears.bars if bar[0] == ALL]
        assert {each[2] for each in heard} == {total}
        done = [each[1] for each in heard]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (first, total)
        assert "left" in heard[-2][3]
