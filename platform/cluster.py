"""Ray: starting it on this machine or joining one that runs, and the slots labels run in.

A slot is one bundle of a placement group, `threads` cores and a label's memory, on one node.
It holds one worker a method and runs one label at a time, so threads never outnumber cores.
On this machine the dashboard is bound to loopback, Ray's token authentication stays on, and
its usage statistics are off.
"""

import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import psutil
import ray
from ray.exceptions import RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from forgefield.platform.planning.machine import Machine, Slots
from forgefield.platform.repeating import repeating
from forgefield.storage.errors import ForgefieldError, InputError

PATIENCE_S = 60.0
RAYLET_EVERY_S = 1.0
INTERRUPTED = 130
RAY_ENDED = (
    "Stopped: Ray was ended on this machine. The same command goes on from here; nothing paid for "
    "is lost.\n"
)
METRICS_EVERY_MS = 2000
NUMBERS = itertools.count(1)
"""Tells apart shares that follow each other: Ray wants names to be unique."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Ray: where its dashboard and this node's metrics are to be found."""

    dashboard_url: str
    metrics_url: str
    local: bool


@contextmanager
def ray_cluster(address: str | None, machine: Machine) -> Iterator[Cluster]:
    """Join the Ray cluster at `address`, or start one on this machine; leave it at the end.

    An error of ours that happened in an actor comes out as itself.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        context = _join(address) if address else _start(machine)
    except Exception as error:  # a node that starts too slowly is a bare one
        raise InputError(_no_ray(address, error)) from error
    try:
        with nullcontext() if address else _ending_with_ray():
            yield Cluster(
                dashboard_url=f"http://{context.dashboard_url}" if context.dashboard_url else "",
                metrics_url=_metrics_url(),
                local=address is None,
            )
    except RayTaskError as error:
        if isinstance(error.cause, ForgefieldError):
            raise error.cause from None
        raise
    finally:
        ray.shutdown()


@contextmanager
def _ending_with_ray() -> Iterator[None]:
    """Leave at once where this machine's Ray ends under us; nobody would answer any more.

    A signal to a whole job does that, or the kernel where memory is short. The ledger is consistent
    at any instant, so nothing has to be tidied up.
    """
    raylets = [each for each in psutil.Process().children() if each.name() == "raylet"]

    def look() -> None:
        if not all(map(_is_alive, raylets)):
            sys.stderr.write(RAY_ENDED)
            sys.stderr.flush()
            os._exit(INTERRUPTED)

    with repeating(look, RAYLET_EVERY_S, "Ray's end"):
        yield


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _no_ray(address: str | None, error: Exception) -> str:
    if address is None:
        return f"Ray didn't start on this machine: {str(error)[:200]}. `platform doctor` may help."
    return (
        f"Can't join the Ray cluster at {address}: {str(error)[:200]}. Check the address and "
        "that this user has the cluster's token (RAY_AUTH_TOKEN_PATH)."
    )


def _start(machine: Machine) -> "ray.client_builder.ClientContext":
    return ray.init(
        address="local",
        num_cpus=machine.cores,
        _memory=machine.memory_bytes,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        _system_config={"metrics_report_interval_ms": METRICS_EVERY_MS},
        log_to_driver=False,
        logging_level="ERROR",
    )


def _join(address: str) -> "ray.client_builder.ClientContext":
    return ray.init(address=address, log_to_driver=False, logging_level="ERROR")


def _metrics_url() -> str:
    here = ray.get_runtime_context().get_node_id()
    node = next(node for node in ray.nodes() if node["NodeID"] == here)
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def cluster_machine() -> Machine:
    """The nodes of the joined cluster, taken as equal to the smallest that has cores."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [resources for resources in nodes if resources.get("CPU", 0) >= 1]
    if not nodes:
        raise InputError("The Ray cluster has no node with a CPU. Start workers, then run again.")
    return Machine(
        nodes=len(nodes),
        cores=int(min(resources["CPU"] for resources in nodes)),
        memory_bytes=int(min(resources.get("memory", 0) for resources in nodes)),
    )


class Place:
    """One slot's share of the cluster, `cores` and `memory_bytes` on one node; it may be lent."""

    def __init__(self, cores: int, memory_bytes: int) -> None:
        self._bundle = {"CPU": cores, "memory": memory_bytes}
        self._group: PlacementGroup | None = None

    @property
    def strategy(self) -> PlacementGroupSchedulingStrategy:
        """Where actors of the slot start; only while it is reserved."""
        return PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=0)

    def reserve(self) -> None:
        """Ask the cluster for the share; it may take a while."""
        if self._group is None:
            name = f"label slot {next(NUMBERS)}"
            self._group = placement_group([self._bundle], strategy="PACK", name=name)

    def is_ready(self, patience_s: float = 0.0) -> bool:
        """Whether the cluster has given it."""
        return self._group is not None and bool(self._group.wait(patience_s))

    def free(self) -> None:
        """Give the share back to the cluster; actors in it end."""
        if self._group is not None:
            remove_placement_group(self._group)
            self._group = None


@contextmanager
def slot_places(slots: Slots, memory_bytes: int) -> Iterator[list[Place]]:
    """Reserve `slots` on the cluster; raises `InputError` where it can't hold them."""
    places = [Place(slots.threads, memory_bytes) for _ in range(slots.count)]
    end = time.monotonic() + PATIENCE_S
    try:
        for place in places:
            place.reserve()
        if not all(place.is_ready(max(1.0, end - time.monotonic())) for place in places):
            raise InputError(
                f"The cluster did not free {slots.count} slots of {slots.threads} core(s) and "
                f"{memory_bytes / 1e9:.1f} GB within {PATIENCE_S:.0f} s. Wait for other jobs to "
                "end, or give fewer cores with --cores-per-node."
            )
        yield places
    finally:
        for place in places:
            place.free()


@contextmanager
def slot_strategies(
    slots: Slots, memory_bytes: int
) -> Iterator[list[PlacementGroupSchedulingStrategy]]:
    """The same as fixed places that are never lent."""
    with slot_places(slots, memory_bytes) as places:
        yield [place.strategy for place in places]
