"""Random ragged frames for tests of formats: odd words, ions, boxes, labels without forces."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored

ORIGIN = Provenance("pyscf", "2.14", "node1", 2, 0.25, 0.5, {"t1": 0.01})
METHODS = (
    Method(Tier.DFT, "PBE/def2-SVP"),
    Method(Tier.DFT, 'PBE0 "tight" \\ D4 {x=1}'),
    Method(Tier.CCSD, "CCSD(T)/cc-pVDZ, frozen core"),
)
NAMES = st.one_of(
    st.sampled_from(["ethanol", "007", "T", "1 2 3", 'a "b" = c', "Å-β", "_JSON 1", "back\\slash"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12),
)
NUMBERS = st.floats(-1e5, 1e5, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-100)


def floats(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    return hnp.arrays(np.float64, shape, elements=NUMBERS)


@st.composite
def stored_frames(
    draw: Callable[[st.SearchStrategy[Any]], Any], seq: int, species: tuple[int, ...] = ()
) -> StoredFrame:
    elements = st.integers(1, 118)
    numbers = species or tuple(draw(st.lists(elements, min_size=1, max_size=4)))
    plain = bool(species)
    boxed = not plain and draw(st.booleans())
    shape = Configuration(
        "ion" if plain else draw(NAMES),
        numbers,
        draw(floats((len(numbers), 3))),
        -1 if plain else draw(st.integers(-3, 3)),
        2 if plain else draw(st.integers(1, 7)),
        draw(_cells()) if boxed else None,
    )
    method = METHODS[0] if plain else draw(st.sampled_from(METHODS))
    job = Job(shape, method, Purpose.TRAIN if plain else draw(st.sampled_from(Purpose)))
    forces = draw(floats((len(numbers), 3))) if plain or draw(st.booleans()) else None
    label = Label(draw(NUMBERS), forces, ORIGIN, draw(_stresses()) if boxed else None)
    return StoredFrame(seq, job, label, 1_500_000)


@st.composite
def _cells(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """Lattice vectors, some of them zero, not all."""
    periodic = draw(st.sampled_from([(1, 1, 1), (1, 1, 0), (0, 0, 1)]))
    return (draw(floats((3, 3))) + 2e5 * np.eye(3)) * np.array(periodic)[:, None]


@st.composite
def _stresses(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    half = draw(floats((3, 3)))
    return np.tril(half) + np.tril(half, -1).T


@st.composite
def ragged_frames(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Frames:
    """Up to four frames of anything."""
    count = draw(st.integers(1, 4))
    return from_stored([draw(stored_frames(seq)) for seq in range(1, count + 1)])


@st.composite
def ion_frames(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Frames:
    """Up to four frames of one charged molecule, one method, for formats that hold no more."""
    count = draw(st.integers(1, 4))
    return from_stored([draw(stored_frames(seq, (8, 1, 17))) for seq in range(1, count + 1)])


def few_frames(count: int = 6, *, boxed: bool = False) -> Frames:
    """Fixed frames of methanol-like sizes, all with forces."""
    random = np.random.default_rng(7)
    stored = []
    for seq in range(1, count + 1):
        cell = np.eye(3) * 9.0 if boxed else None
        shape = Configuration("methanol", (6, 8, 1, 1), random.normal(size=(4, 3)), 0, 1, cell)
        stress = np.eye(3) * 0.01 if boxed else None
        label = Label(-3000.0 - seq / 7, random.normal(size=(4, 3)), ORIGIN, stress)
        purpose = Purpose.VALIDATION if seq % 3 == 0 else Purpose.TRAIN
        stored.append(StoredFrame(seq, Job(shape, METHODS[0], purpose), label, 2_000_000))
    return from_stored(stored)
