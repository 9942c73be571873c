"""Colmena's side of `overheads.py`, run by a Python that has Colmena: prints one JSON object.

Its local task server, its pipes, and its no-op task; `--in-flight` tasks at a time, as our
dispatcher keeps, or all of them at once (0).
"""

import argparse
import json
import time

import numpy as np
from colmena.queue.python import PipeQueues
from colmena.task_server.local import LocalTaskServer

ATOMS = 21


def no_op(positions: np.ndarray, seconds: float) -> tuple[float, np.ndarray]:
    """An energy and forces that follow from the geometry."""
    time.sleep(seconds)
    return float(positions.sum()), np.sin(positions)


def main() -> None:
    """Send, collect, print."""
    asked = _asked()
    queues = PipeQueues()
    server = LocalTaskServer(queues, [no_op], threads=asked.threads, num_workers=asked.workers)
    server.start()
    shapes = list(np.random.default_rng(1).normal(size=(asked.tasks, ATOMS, 3)))
    _collect(queues, shapes[: 4 * asked.workers], 0.0, 0)
    start = time.perf_counter()
    latencies = _collect(queues, shapes, asked.seconds, asked.in_flight)
    wall_s = time.perf_counter() - start
    queues.send_kill_signal()
    server.join()
    low, high = np.quantile(latencies, [0.5, 0.95])
    print(json.dumps({"wall_s": wall_s, "p50_s": float(low), "p95_s": float(high)}))


def _collect(
    queues: PipeQueues, shapes: list[np.ndarray], seconds: float, in_flight: int
) -> list[float]:
    """Latencies from the task's making to its result in hand, s."""
    waiting, latencies = list(reversed(shapes)), []
    for _ in range(min(in_flight or len(shapes), len(shapes))):
        queues.send_inputs(waiting.pop(), seconds, method="no_op")
    for _ in shapes:
        result = queues.get_result()
        assert result.success, result.failure_info
        latencies.append(result.timestamp.result_received - result.timestamp.created)
        if waiting:
            queues.send_inputs(waiting.pop(), seconds, method="no_op")
    return latencies


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--in-flight", type=int, default=2)
    parser.add_argument("--threads", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
