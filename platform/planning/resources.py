"""Memory and disk that a campaign takes, said before it starts.

Disk is an upper bound by what was seen: a run of 4,000 ethanol labels left 2.3 MB of frames (560
bytes a frame of 9 atoms), 0.9 kB of ledger a label, geometries of 24 bytes an atom, and 1.9 MB of
weights for each of 13 fits. Units: bytes.
"""

from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.quote_parts import DiskQuote, MemoryQuote
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.training_fits import fits_of, fits_of_round

FRAME, FRAME_ATOM = 400, 64
"""Of a frame: keys, energy, provenance; and of every atom position, forces and element."""
LEDGER_LABEL = 1000
GEOMETRY_ATOM = 24
SPOOLED_LABEL = 20_000
"""One file a label in flight, in blocks of 4 kB, and its heartbeat."""
FIT = 20_000_000
"""Weights, moving average and optimiser of the larger models, of which one checkpoint is kept."""


def memory_quote(label_bytes: int, workers: int, machine: Machine) -> MemoryQuote:
    """The largest label times the workers of one node."""
    return MemoryQuote(
        label_bytes=label_bytes,
        workers=workers,
        needed_bytes=label_bytes * max(workers, 1),
        node_bytes=machine.memory_bytes,
    )


def disk_quote(labels: int, atoms: int, slots: int, recipe: Recipe, rounds: int = 0) -> DiskQuote:
    """What the run folder holds, for so many labels of a molecule of so many atoms.

    Every round keeps its fits and the frames that it trained on.
    """
    geometries = GEOMETRY_ATOM * atoms * max(labels, recipe.sampling.frames)
    of_round = len(fits_of_round(recipe.training, recipe.rounds))
    return DiskQuote(
        frames=(1 + rounds) * labels * (FRAME + FRAME_ATOM * atoms) + geometries,
        ledger=LEDGER_LABEL * labels,
        spool=slots * (SPOOLED_LABEL + 2 * GEOMETRY_ATOM * atoms),
        training=FIT * (len(fits_of(recipe.training)) + rounds * of_round),
    )
