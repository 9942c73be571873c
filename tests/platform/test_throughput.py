"""The chooser of workers × threads: measured gains, memory, and what it says of its choice."""

import pytest

from forgefield.platform.planning.machine import Machine, Slots
from forgefield.platform.planning.throughput import GAINS, choose_slots, gain_of

GB = 10**9
TWO_CORES = Machine(nodes=1, cores=2, memory_bytes=16 * GB)


@pytest.mark.parametrize("method", ["CCSD(T)/cc-pVDZ, frozen core", "PBE/def2-SVP", "GFN2-xTB"])
def test_a_worker_a_core_while_memory_allows(method: str) -> None:
    choice = choose_slots(TWO_CORES, 7 * GB // 10, None, method)
    gain = gain_of(method)
    ratio = gain.two_workers / gain.two_threads
    assert choice.slots == Slots(2, 1)
    assert choice.memory_bytes == 8 * GB
    assert choice.why == f"2 workers × 1 thread: {ratio:.3g}× 1 worker × 2 threads; 0.7 GB each"


def test_threads_where_memory_holds_fewer_workers() -> None:
    choice = choose_slots(TWO_CORES, 9 * GB)
    assert (choice.slots, choice.memory_bytes) == (Slots(1, 2), 16 * GB)
    assert "memory holds no more than 1 at a time (16 GB)" in choice.why


def test_threads_as_asked_win() -> None:
    assert choose_slots(TWO_CORES, GB, 2).slots == Slots(1, 2)
    assert choose_slots(TWO_CORES, GB, 3).slots == Slots(0, 3)


def test_nodes_multiply_workers() -> None:
    choice = choose_slots(Machine(3, 8, 16 * GB), 6 * GB)
    assert choice.slots == Slots(6, 4)
    assert choice.why.endswith("on each of 3 nodes")


def test_gains_are_what_two_cores_can_give() -> None:
    for gain in GAINS.values():
        assert 1 <= gain.two_threads < gain.two_workers <= 2
        assert gain.of(1, 1) == 1
        assert gain.of(2, 1) == pytest.approx(gain.two_workers)
        assert gain.of(1, 2) == pytest.approx(gain.two_threads)
