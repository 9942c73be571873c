"""Kills of what a real labelling run under Ray is made of: workers, service, driver, Ray itself."""

# ruff: noqa: S311, S603 - dice choose the moments, the program is our own

import os
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from crash.results import AT_RANDOM
from crash.storm import TESTS

from forgefield.storage.errors import InputError
from forgefield.storage.ledger import Ledger

PATIENCE_S = 300.0
RAY = "all of Ray"
WORKER, SERVICE, DRIVER = "label worker", "ledger service", "driver"
TITLES = {"ray::LabelWorker": WORKER, "ray::LedgerService": SERVICE, "crash.ray_driver": DRIVER}
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
"""The token is these clusters' own; drivers give up a dead head after seconds, not a minute."""


@dataclass
class RayStorm:
    """Drivers on one run folder and one Ray after another."""

    folder: Path
    jobs: int = 200
    killed: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    _head: "subprocess.Popen[str] | None" = None
    _driver: "subprocess.Popen[bytes] | None" = None
    _address: str = ""
    _is_begun: bool = False

    def stay_up(self) -> None:
        """Start Ray and a driver where there is none; a driver that bought all gets more to do."""
        if self._head is None or self._head.poll() is not None:
            self._close_head()
            self._head = _python("crash.ray_head", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._head.stdout is not None
            self._address = self._head.stdout.readline().strip()
        code = 0 if self._driver is None else self._driver.poll()
        if code is None:
            return
        assert code in {0, 1, 6, 7, -6, -9}, f"the driver ended with {code}: {self.log()}"
        self.jobs += 200 if code == 0 else 0
        self._start_driver()

    def finish(self) -> None:
        """Let drivers go on until one has bought everything."""
        end = time.monotonic() + 2 * PATIENCE_S
        while self._driver is None or self._driver.poll() != 0:
            assert time.monotonic() < end, self.log()
            self.stay_up()
            time.sleep(0.05)

    def verify(self) -> None:
        """Every invariant holds, as the run stands, from the moment that there is a ledger."""
        try:
            opened = Ledger(f"sqlite:///{self.folder}/ledger.sqlite", read_only=True)
        except InputError:
            assert not self._is_begun, "the ledger is gone"
            return
        with opened as ledger:
            self._is_begun = True
            made = (self.folder / "frames.zarr" / "zarr.json").exists()
            assert ledger.verify(self.folder / "frames.zarr" if made else None) == []

    def kill_at(self, name: str, nth: int) -> None:
        """Kill whichever process comes by a point the `nth` time, then verify."""
        fuse = self.folder / "fuse"
        fuse.with_suffix(".new").write_text(f"{name}\t{nth}\t")
        fuse.with_suffix(".new").rename(fuse)
        end = time.monotonic() + PATIENCE_S
        while fuse.exists() and time.monotonic() < end:
            self.stay_up()
            time.sleep(0.02)
        if fuse.exists():
            fuse.unlink(missing_ok=True)
            self.missed[name] += 1
        else:
            self.killed[f"{self._last_dead()}, {name}"] += 1
        self.verify()

    def kill_at_random(self, victims: Callable[[], list[psutil.Process]], name: str) -> None:
        """Kill processes within two seconds of labelling, then verify."""
        self.stay_up()
        time.sleep(random.uniform(0, 2))
        end = time.monotonic() + PATIENCE_S
        while not (found := victims()) and time.monotonic() < end:
            self.stay_up()
            time.sleep(0.02)
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if found:
            self.killed[f"{name}, {AT_RANDOM}"] += 1
        self.verify()

    def workers(self) -> list[psutil.Process]:
        """One of the actors that label."""
        return random.sample(actors := self._actors("ray::LabelWorker"), min(1, len(actors)))

    def service(self) -> list[psutil.Process]:
        """The actor that owns ledger and frames."""
        return self._actors("ray::LedgerService")[-1:]

    def driver(self) -> list[psutil.Process]:
        """The driver."""
        assert self._driver is not None
        return [psutil.Process(self._driver.pid)] if self._driver.poll() is None else []

    def ray(self) -> list[psutil.Process]:
        """The head and everything it started."""
        assert self._head is not None
        head = psutil.Process(self._head.pid)
        return [*head.children(recursive=True), head]

    def stop(self) -> None:
        """End driver and Ray."""
        for process in (self._driver, self._head):
            if process is not None and process.poll() is None:
                for each in self.ray() if process is self._head else self.driver():
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
                process.wait()
        self._close_head()

    def log(self) -> str:
        """The last that drivers said."""
        return (self.folder / "drivers.log").read_text()[-3000:]

    def _last_dead(self) -> str:
        """Who blew the last fuse; it says so a moment after."""
        deaths, end = self.folder / "deaths", time.monotonic() + PATIENCE_S
        blown = sum(self.killed[name] for name in self.killed if AT_RANDOM not in name) + 1
        while not deaths.exists() or deaths.read_text().count("\n") < blown:
            assert time.monotonic() < end, f"{blown} fuses blown, fewer deaths"
            time.sleep(0.02)
        last = deaths.read_text().splitlines()[-1]
        return next(victim for title, victim in TITLES.items() if title in last)

    def _close_head(self) -> None:
        for stream in (self._head.stdin, self._head.stdout) if self._head else ():
            if stream is not None:
                stream.close()

    def _actors(self, words: str) -> list[psutil.Process]:
        found = []
        for process in self.ray():
            with suppress(psutil.NoSuchProcess):
                if words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def _start_driver(self) -> None:
        with (self.folder / "drivers.log").open("ab") as log:
            words = (str(self.folder), self._address, str(self.jobs))
            self._driver = _python("crash.ray_driver", *words, stdout=log, stderr=log)


def _python(*words: str, **streams: object) -> "subprocess.Popen":
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    ours = {"PYTHONPATH": path} | RAY_SETTINGS
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        text=words[0] == "crash.ray_head",
        env=os.environ | ours,
        **streams,
    )
