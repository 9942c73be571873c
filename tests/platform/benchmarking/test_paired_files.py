"""The ASTEROID table of two files on the same geometries: tested frames are held back for it."""

from dataclasses import replace
from pathlib import Path

import pytest
import spring_files as springs
from spring_benchmark import TERMS, bench, geometries
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import notes
from forgefield.platform.benchmarking.asteroid.chains import trainings
from forgefield.platform.benchmarking.asteroid.terms import ON_CHEAP, Case, Terms
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.preparing import prepare
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose

FRAMES = 120


@pytest.fixture
def paired(asked: Asked, tmp_path: Path) -> Asked:
    """The same geometries in both files, turned in one of them."""
    positions = springs.distortions(FRAMES, 1)
    return replace(
        asked,
        accurate=springs.write(tmp_path / "high.npz", positions, springs.ACCURATE),
        cheap=springs.write(tmp_path / "low.npz", springs.turned(positions), springs.CHEAP),
        out=tmp_path / "out",
    )


def test_the_largest_ratio_that_can_be_had_is_had(paired: Asked) -> None:
    """20 train, 6 validate; of the other 94 half may go to the cheap side, 40 are needed."""
    here = bench(paired, replace(TERMS, ratios=(5.0, 10.0, 20.0)))
    plain = prepare(paired, TERMS.budget, Listener()).draws[0]
    draw = here.prepared.draws[0]
    assert (draw.train, draw.validation) == (plain.train, plain.validation)
    assert (draw.test, draw.held_back) == (plain.test[:54], 40)
    assert draw.hash != plain.hash
    assert here.ratios == (5.0, 10.0)
    assert {(left.row, left.ratio) for left in here.left_out} == {(k, 20.0) for k in ON_CHEAP}
    assert "80 cheap frames are needed; 47 are at hand" in here.left_out[0].reason
    assert {case.ratio for case in here.cases_of(Kind.FULL)} == {5.0, 10.0}
    assert {case.ratio for case in here.cases_of(Kind.DELTA)} == {5.0, 10.0, 20.0}
    assert any(note.startswith("40 frames are not tested on") for note in notes(here))


def test_no_judging_geometry_is_among_the_cheap_frames(paired: Asked) -> None:
    here = bench(replace(paired, redraw=True))
    chains = trainings(here)
    for case in here.cases_of(Kind.UNWEIGHTED):
        draw = here.prepared.draw(case.seed)
        own = here.prepared.accurate.frames((*draw.train, *draw.validation, *draw.test))
        cheap = here.prepared.cheap.frames(here.cheap(case))
        assert len(cheap) == 40
        assert not geometries(own) & geometries(cheap)
        test = here.prepared.accurate.frames(draw.test)
        for key in (key for key in chains if key[1].seed == case.seed):
            for task in chains[key]:
                known = load_frames(task.frames, tuple(Purpose))
                assert not geometries(test) & geometries(known)


def test_as_many_test_frames_as_were_asked_for_stay(paired: Asked) -> None:
    here = bench(replace(paired, test_frames=60))
    assert (len(here.prepared.draws[0].test), here.prepared.draws[0].held_back) == (60, 0)
    assert here.ratios == ()
    assert not here.wants(*ON_CHEAP)
    assert "40 cheap frames are needed; 34 are at hand" in here.left_out[0].reason
    assert here.wants(Kind.STANDARD)
    with pytest.raises(InputError, match="No row can be had: 40 cheap frames are needed; 34"):
        bench(replace(paired, test_frames=60), replace(TERMS, kinds=(Kind.FULL, Kind.UNWEIGHTED)))


def test_files_with_cheap_frames_of_their_own_are_drawn_as_ever(asked: Asked) -> None:
    assert bench(asked).prepared.draws == prepare(asked, TERMS.budget, Listener()).draws


def test_the_pair_of_h2co_has_a_table(repository: Path, tmp_path: Path) -> None:
    data = repository.parent / "shared/data"
    high, low = data / "h2co_ccsdt_avtz_4001.npz", data / "h2co_B3LYP_cc-pVDZ_4001.npz"
    for path in (high, low):
        if not path.exists():
            pytest.skip(f"{path.name} is absent")
    here = bench(Asked(high, low, None, tmp_path, unit="eV", parallel=1, device="cpu"), Terms())
    assert here.ratios == (20.0, 40.0)
    draw = here.prepared.draws[0]
    assert len(here.cheap(Case(0, 1.0, 40.0))) == 2000
    assert len(draw.train) == 250
    assert len(draw.test) > 1400
