"""Which points are killed at, in what order, and what must come before."""

# ruff: noqa: S311 - dice choose the moments

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from crash.steps import REQUIRED, SET_UPS
from crash.storm import AT_FIRST, SERVER, Revive, Storm

CHANCES = 3
ONCE = ("acquire", "init", "open", "recover", "create")
"""Steps of a worker's start: it comes by them once."""
Another = Callable[[Path], str]


def rage(
    storm: Storm,
    kills: int,
    another: Another,
    revive: Revive | None = None,
    *,
    set_ups: tuple[str, ...] = SET_UPS,
    every: bool = False,
) -> None:
    """Kill `kills` times, at different points while there are any, the required ones first.

    With `every`, at all points, however many; a point that is missed gets other chances. `another`
    gives the ledger's URL for a new folder. Where `revive` names a server, which it starts again if
    need be, that is killed in the worker's stead, and only its deaths count.
    """
    points = storm.points(set_ups)
    if set_ups == SET_UPS:
        assert set(REQUIRED) <= points.keys(), set(REQUIRED) - points.keys()
    left = sorted(random.sample(list(points), len(points)), key=lambda name: name not in REQUIRED)
    while (left and every) or storm.deaths(SERVER if revive else "") < kills:
        name = left.pop(0) if left else random.choice(list(points))
        blew = strike(storm, name, points[name], another, revive)
        if every and not blew and storm.missed[name] < CHANCES:
            left.append(name)
        if random.random() < 0.1:
            storm.kill_at_random()


def strike(storm: Storm, name: str, before: str, another: Another, revive: Revive | None) -> bool:
    """Kill at a point, of a new run if only that comes by, or after the death `before` it."""
    if before == AT_FIRST:
        folder = Path(tempfile.mkdtemp(prefix="new-", dir=storm.folder.parent))
        here = replace(storm, folder=folder, url=another(folder), acknowledged={})
        blew = here.kill_at(name, 1, revive)
        here.live(60, upto=5)
        return blew
    if before:
        storm.kill_at(before, 1)
    once = before or name.startswith(ONCE)
    return storm.kill_at(name, 1 if once else random.randint(1, 3), revive)
