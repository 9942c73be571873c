"""Kills of the storage worker at named points and at random times, counted.

Every worker verifies the ledger against the store before and after its recovery; a worker that
finds anything broken, or that ends by itself other than it should, fails the storm.
"""

# ruff: noqa: S311 - dice choose the moments, the program is our own

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from crash.results import AT_RANDOM

TESTS = Path(__file__).resolve().parents[1]
PATIENCE_S = 5.0
AT_FIRST = "a new run"
SERVER = "PostgreSQL server"
KILLED, REFUSED = -signal.SIGKILL, 6
Revive = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended, and the points that it came by where it was told to list them."""

    code: int
    points: list[str]


@dataclass
class Storm:
    """Workers on one run folder, killed one after another; `url` is the ledger's."""

    folder: Path
    url: str
    launcher: "subprocess.Popen[str]"
    acknowledged: dict[int, list[str]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def live(self, seconds: float, upto: int | None = None, **more: int) -> Ended:
        """One worker until it ends or is killed, after `seconds` at the latest."""
        place = {"folder": str(self.folder), "url": self.url}
        order = place | {"seconds": seconds, "upto": upto, "batch": 4, "tour": 0} | more
        assert self.launcher.stdin is not None
        assert self.launcher.stdout is not None
        self.launcher.stdin.write(json.dumps(order) + "\n")
        self.launcher.stdin.flush()
        ended: dict[str, Any] = json.loads(self.launcher.stdout.readline())
        self._heed(ended["said"])
        assert upto is None or ended["code"] == 0, ended
        said = [line[6:] for line in ended["said"] if line.startswith("point ")]
        return Ended(ended["code"], said)

    def kill_at(self, name: str, nth: int, revive: Revive | None = None) -> bool:
        """Kill at the `nth` time that a worker comes by a point, or else when patience ends.

        Says whether it came by. With `revive`, the server that it names dies in its stead, and is
        started again while the worker looks on.
        """
        fuse = self.folder / "fuse"
        fuse.with_suffix(".blown").unlink(missing_ok=True)
        pids = revive() if revive else ""
        fuse.with_suffix(".new").write_text(f"{name}\t{nth}\t{pids}")
        fuse.with_suffix(".new").rename(fuse)
        with ThreadPoolExecutor(1) as pool:
            revival = pool.submit(_revive_when_blown, fuse, pids, revive) if revive else None
            ended = self.live(PATIENCE_S + 2 * bool(revive))
            blew = not fuse.exists()
            fuse.unlink(missing_ok=True)
            if revival:
                revival.result()
        assert ended.code == KILLED or (revive and blew and ended.code == REFUSED), ended
        if blew or not revive:
            point = f"{SERVER}, {name}" if revive else name
            self.killed[point if blew else AT_RANDOM] += 1
        self.missed[name] += not blew
        return blew

    def kill_at_random(self) -> None:
        """Kill within the first second."""
        assert self.live(random.uniform(0, 0.8)).code == KILLED
        self.killed[AT_RANDOM] += 1

    def deaths(self, victim: str) -> int:
        """How often one whose name starts with `victim` was killed."""
        return sum(times for name, times in self.killed.items() if name.startswith(victim))

    def points(self, set_ups: tuple[str, ...]) -> dict[str, str]:
        """All points that workers come by, and the death before, if any, that brings them there."""
        first, later = self._census(), dict.fromkeys(self._census(), "")
        for before in set_ups:
            if before in later:
                self.kill_at(before, 1)
                later = dict.fromkeys(self._census(), before) | later
        return dict.fromkeys(first, AT_FIRST) | later

    def _census(self) -> list[str]:
        ended = self.live(60, tour=1)
        assert ended.code == 0
        return ended.points

    def _heed(self, said: list[str]) -> None:
        for line in said:
            word, *rest = line.split(maxsplit=1)
            assert word != "broken", rest[0].replace("⏎", "\n")
            if word in {"found", "ready"}:
                assert not rest, f"{word} broken after a kill: {rest}"
            if word == "settled":
                reservation, *booked = rest[0].split()
                assert int(reservation) not in self.acknowledged
                self.acknowledged[int(reservation)] = booked


def _revive_when_blown(fuse: Path, pids: str, revive: Revive) -> None:
    """Who blew the fuse kills a moment later: first wait for the deaths."""
    while fuse.exists():
        time.sleep(0.02)
    if fuse.with_suffix(".blown").exists():
        while any(_is_alive(int(pid)) for pid in pids.split()):
            time.sleep(0.02)
        revive()


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def storm_over(folder: Path, url: str) -> Iterator[Storm]:
    """A storm over `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    with subprocess.Popen(
        [sys.executable, "-m", "crash.forks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as launcher:
        yield Storm(folder, url, launcher)
        assert launcher.stdin is not None
        launcher.stdin.close()
