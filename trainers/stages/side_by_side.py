"""Which chain of stages begins when: each as soon as all that it goes on from is there.

Pure: where a chain runs, and how one hears that it is over, is the caller's (`ray_train`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from forgefield.trainers.stages.endings import Ending, lost
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageTask

Reference = TypeVar("Reference")


def side_by_side(
    chains: Sequence[Sequence[StageTask]],
    parallel: int,
    begin: Callable[[Sequence[StageTask]], Reference],
    over: Callable[[list[Reference]], list[tuple[Reference, Ending]]],
) -> Iterator[tuple[int, Ending]]:
    """Place and ending of each chain as soon as it is over, `parallel` at a time.

    `begin` starts one; `over` is given those at work and says which have ended, after a while at
    the latest. Finished chains aren't started, nor those that go on from one that diverged.
    """
    found: dict[int, Ending] = {}
    running: dict[Reference, int] = {}
    while len(found) < len(chains):
        for place in startable(chains, {*found, *running.values()}, found):
            if len(running) == parallel:
                break
            before = [(chains[other], ending) for other, ending in found.items()]
            done = finished_chain(chains[place]) or lost(chains[place], before)
            if done is None:
                running[begin(chains[place])] = place
            else:
                found[place] = done
                yield place, done
        for reference, ending in over([*running]) if running else []:
            place = running.pop(reference)
            found[place] = ending
            yield place, ending


def startable(
    chains: Sequence[Sequence[StageTask]], begun: Collection[int], ended: Collection[int]
) -> list[int]:
    """Places of the chains that aren't begun and need nothing of an earlier one that isn't over."""
    open_outputs = set[Path]()
    found = []
    for place, chain in enumerate(chains):
        needed = {source for task in chain for source in task.sources}
        if place not in begun and needed.isdisjoint(open_outputs):
            found.append(place)
        if place not in ended:
            open_outputs |= {task.output for task in chain}
    return found
