"""A Ray of its own, until its stdin ends: says its address. All its processes are children."""

# ruff: noqa: T201 - the test reads stdout

import sys

import ray

if __name__ == "__main__":
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
    ray.shutdown()
