"""The plan: what it promises, what it says of machines that are too small, and bad files."""

from pathlib import Path

import numpy as np
import pytest

from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine, Slots, wall_seconds
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.throughput import choose_slots
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.screen.wording import duration, three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule, Tier

GB = 10**9
WATER = Molecule("water", (8, 1, 1), np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
HERE = Machine(nodes=1, cores=2, memory_bytes=16 * GB)


def costs(target_memory: int = GB) -> dict[Tier, TierCost]:
    seconds = {Tier.EMPIRICAL: 1e-4, Tier.XTB: 1e-3, Tier.DFT: 2.0, Tier.CCSD: 16.0}
    memory = dict.fromkeys(Tier, GB) | {Tier.CCSD: target_memory}
    return {t: TierCost(s, s / 2, s * 2, memory[t]) for t, s in seconds.items()}


def quote(budget: str = "20ccsd", memory: int = GB, *machines: Machine) -> Plan:
    asked = machines or (HERE,)
    return make_plan(WATER, parse_budget(budget), costs(memory), asked, Recipe(), "run")


def test_a_plan_stays_within_its_budget_and_survives_json(tmp_path: Path) -> None:
    plan = quote()
    assert plan.cap == pytest.approx(320)
    assert plan.cost <= plan.cap
    assert plan.in_budget_units(plan.cap) == pytest.approx(20)
    assert not plan.calibrated
    path = tmp_path / "plan.json"
    path.write_text(plan.model_dump_json())
    again = load_plan(path)
    assert again == plan
    molecule = again.molecule.to_record()
    assert np.array_equal(molecule.positions_A3, WATER.positions_A3)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2}', "\x00", "not json"])
def test_a_file_that_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"plan\.json"):
        load_plan(path)


def test_a_label_that_does_not_fit_is_said_so_and_has_no_wall_time() -> None:
    plan = quote("20ccsd", 30 * GB, HERE, Machine(4, 64, 500 * GB))
    assert not plan.tier(Tier.CCSD).fits
    assert plan.slots == 0
    here, there = plan.wall
    assert here.seconds is None
    assert there.seconds is not None


def test_more_nodes_take_less_time() -> None:
    plan = quote("250ccsd", GB, HERE, Machine(4, 2, 16 * GB), Machine(16, 2, 16 * GB))
    seconds = [wall.seconds for wall in plan.wall if wall.seconds is not None]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] == pytest.approx(plan.cost / 2 + 8)
    assert seconds[2] > plan.cost / 32


@pytest.mark.parametrize(
    ("memory_gb", "threads", "slots"),
    [
        (1, None, Slots(8, 1)),
        (4, None, Slots(4, 2)),
        (9, None, Slots(1, 8)),
        (17, None, Slots(0, 8)),
        (1, 3, Slots(2, 3)),
    ],
)
def test_slots_fill_the_cores_within_the_memory(
    memory_gb: int, threads: int | None, slots: Slots
) -> None:
    machine = Machine(nodes=1, cores=8, memory_bytes=16 * GB)
    assert choose_slots(machine, memory_gb * GB, threads).slots == slots
    assert slots.count * slots.threads <= machine.cores
    assert slots.count * memory_gb * GB <= machine.memory_bytes


def test_wall_time_is_the_list_scheduling_bound() -> None:
    assert wall_seconds(100, 10, Slots(1, 1)) == 100
    assert wall_seconds(100, 10, Slots(2, 1)) == 55
    assert wall_seconds(100, 10, Slots(2, 5)) == 11
    assert wall_seconds(100, 10, Slots(0, 1)) == float("inf")


def test_numbers_read_well() -> None:
    assert duration(1.4e-5) == "14 µs"
    assert duration(0.012) == "12 ms"
    assert duration(16.04) == "16 s"
    assert duration(5 * 86400) == "5 d"
    assert duration(None) == "–"
    assert three_digits(1234567) == "1,234,567"
    assert three_digits(0.012345) == "0.0123"


def test_a_target_without_forces_is_refused() -> None:
    with pytest.raises(ValueError, match="campaigns train on forces"):
        Recipe.model_validate({"methods": {"ccsd": "CCSD(T)/cc-pVDZ, energy only"}})
