"""Kills of the storage worker at named points and at random times, counted.

Every worker verifies the ledger against the store before and after its recovery; a worker that
finds anything broken, or that ends by itself other than it should, fails the storm.
"""

# ruff: noqa: S311 - dice choose the moments, the program is our own

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crash.steps import REQUIRED, SET_UPS

TESTS = Path(__file__).resolve().parents[1]
PATIENCE_S = 3.0
ONCE = ("acquire", "init", "open", "recover", "create")
"""Steps of a worker's start: it comes by them once."""
AT_FIRST = "a new run"
AT_RANDOM = "at a random time"


@dataclass
class Storm:
    """Workers on one run folder, killed one after another; `url` is the ledger's."""

    folder: Path
    url: str
    launcher: "subprocess.Popen[str]"
    acknowledged: dict[int, list[str]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def live(self, seconds: float, upto: int | None = None, **more: int) -> list[str]:
        """One worker until it ends or `seconds` are over; the points it came by."""
        place = {"folder": str(self.folder), "url": self.url}
        order = place | {"seconds": seconds, "upto": upto, "batch": 4, "census": 0} | more
        assert self.launcher.stdin is not None
        assert self.launcher.stdout is not None
        self.launcher.stdin.write(json.dumps(order) + "\n")
        self.launcher.stdin.flush()
        ended: dict[str, Any] = json.loads(self.launcher.stdout.readline())
        self._heed(ended["said"])
        assert ended["code"] in {0, 6, -9}, ended
        assert upto is None or ended["code"] == 0, ended
        return [line[6:] for line in ended["said"] if line.startswith("point ")]

    def kill_at(self, name: str, nth: int, revive: Callable[[], str] | None = None) -> bool:
        """Kill at the `nth` time that a worker comes by a point, or else when patience ends.

        Says whether it came by. With `revive`, the processes that it named die in its stead,
        and are started again while the worker looks on.
        """
        fuse = self.folder / "fuse"
        fuse.with_suffix(".blown").unlink(missing_ok=True)
        fuse.with_suffix(".new").write_text(f"{name}\t{nth}\t{revive() if revive else ''}")
        fuse.with_suffix(".new").rename(fuse)
        with ThreadPoolExecutor(1) as pool:
            if revive:
                pool.submit(_revive_when_blown, fuse, revive)
            self.live(PATIENCE_S + 2 * bool(revive))
            blew = not fuse.exists()
            fuse.unlink(missing_ok=True)
        if blew or not revive:
            self.killed[name if blew else AT_RANDOM] += 1
        self.missed[name] += not blew
        return blew

    def kill_at_random(self) -> None:
        """Kill within the first second."""
        self.live(random.uniform(0, 0.8))
        self.killed[AT_RANDOM] += 1

    def points(self) -> dict[str, str]:
        """All points that workers come by, and the death before, if any, that brings them there."""
        first, later = self._census(), dict.fromkeys(self._census(), "")
        for before in SET_UPS:
            if before in later:
                self.kill_at(before, 1)
                later = dict.fromkeys(self._census(), before) | later
        return dict.fromkeys(first, AT_FIRST) | later

    def _census(self) -> list[str]:
        jobs = {job for _, *booked in self.acknowledged.values() for job in booked}
        return self.live(60, len(jobs) + 20, census=1)

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


def _revive_when_blown(fuse: Path, revive: Callable[[], str]) -> None:
    while fuse.exists():
        time.sleep(0.02)
    revive()


@contextmanager
def storm_over(folder: Path, url: str) -> Iterator[Storm]:
    """A storm over `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    with subprocess.Popen(
        [sys.executable, "-m", "crash.storage_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as launcher:
        yield Storm(folder, url, launcher)
        assert launcher.stdin is not None
        launcher.stdin.close()


def rage(
    storm: Storm,
    kills: int,
    another: Callable[[Path], str],
    revive: Callable[[], str] | None = None,
) -> None:
    """Kill `kills` times: at every point in turn, and now and then at a random moment.

    `another` gives the ledger's URL for a new folder. Where `revive` names processes, which it
    starts again if need be, those are killed in the worker's stead.
    """
    points = storm.points()
    assert set(REQUIRED) <= points.keys(), set(REQUIRED) - points.keys()
    places = list(points)
    random.shuffle(places)
    while storm.killed.total() < kills:
        for name in places[: max(1, kills - storm.killed.total())]:
            here, before = storm, points[name]
            if before == AT_FIRST:
                folder = Path(tempfile.mkdtemp(prefix="new-", dir=storm.folder.parent))
                here = replace(storm, folder=folder, url=another(folder), acknowledged={})
            elif before:
                storm.kill_at(before, 1)
            once = before or name.startswith(ONCE)
            here.kill_at(name, 1 if once else random.randint(1, 3), revive)
            if here is not storm:
                here.live(60, upto=5)
            if random.random() < 0.15:
                storm.kill_at_random()
