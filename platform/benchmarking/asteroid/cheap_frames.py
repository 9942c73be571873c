"""How many cheap frames there are to pre-train on, where test frames have cheap twins.

No row may see a tested geometry at any level, so of files on the same geometries nothing is left
while all frames that don't train are tested on. The last test frames are held back then: nothing
is trained or tested on their accurate labels, and their cheap twins are free.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from forgefield.platform.benchmarking.draws import Draw, with_fewer_tests
from forgefield.platform.benchmarking.preparing import Prepared

FEWEST_TESTS = 200
"""Test frames that are kept where there are twice as many, else half of them."""


def with_cheap_frames(prepared: Prepared, counts: Sequence[int]) -> tuple[Prepared, int]:
    """Hold back no more test frames than the largest of `counts` that can be had needs.

    Also says how many cheap frames can be had at most. Draws with frames enough stay as they
    are, and so do those of as many test frames as were asked for.
    """
    if prepared.asked.test_frames is not None:
        return prepared, min(len(prepared.pool(draw)) for draw in prepared.draws)
    fewest = [with_fewer_tests(draw, _fewest(draw)) for draw in prepared.draws]
    most = min(len(prepared.pool(draw)) for draw in fewest)
    needed = max((count for count in counts if count <= most), default=0)
    draws = tuple(_held_back(prepared, draw, needed) for draw in prepared.draws)
    return replace(prepared, draws=draws), most


def _fewest(draw: Draw) -> int:
    return max(1, min(FEWEST_TESTS, len(draw.test) // 2))


def _held_back(prepared: Prepared, draw: Draw, needed: int) -> Draw:
    """The draw with all test frames that leave `needed` cheap ones."""
    if len(prepared.pool(draw)) >= needed:
        return draw
    spare = bisect_left(
        range(len(draw.test)),
        needed,
        key=lambda held: len(prepared.pool(with_fewer_tests(draw, len(draw.test) - held))),
    )
    return with_fewer_tests(draw, len(draw.test) - spare)
