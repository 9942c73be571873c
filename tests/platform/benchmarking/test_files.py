"""Files of a benchmark: units doubted, one molecule, geometries matched however they are turned."""

from pathlib import Path

import numpy as np
import pytest
import spring_files as springs

from forgefield.platform.foreign_labels.files import read_labelled
from forgefield.platform.foreign_labels.matching import (
    paired_labels,
    refuse_opposed_forces,
    repeats_in,
    shared_by,
)
from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose, Tier

GEOMETRIES = springs.distortions(30, 1)
ORDER = [1, 0, 3, 2]


def accurate(path: Path, positions: springs.Array = GEOMETRIES) -> Path:
    return springs.write(path / "accurate.npz", positions, springs.ACCURATE)


def test_labels_are_read_in_our_units(tmp_path: Path) -> None:
    found = read_labelled(accurate(tmp_path), Tier.CCSD, None)
    energy, forces = springs.labels(GEOMETRIES, springs.ACCURATE)
    assert found.unit == "kcal/mol"
    np.testing.assert_allclose(found.energy_N, energy, rtol=1e-12)
    np.testing.assert_allclose(found.forces_NA3, forces, atol=1e-12)
    frames = found.frames([7, 2])
    np.testing.assert_array_equal(frames.positions_A3, GEOMETRIES[[7, 2]].reshape(-1, 3))
    assert set(frames.purpose_F.tolist()) == {int(Purpose.HOLDOUT)}


@pytest.mark.parametrize(
    ("scale", "unit", "words"),
    [(1.0, None, "Say --unit eV"), (23.06, "eV", "Say --unit kcal/mol")],
)
def test_a_wrong_unit_is_flagged_and_a_right_one_taken(
    tmp_path: Path, scale: float, unit: str | None, words: str
) -> None:
    path = springs.write(tmp_path / "odd.npz", GEOMETRIES, springs.ACCURATE, scale=scale)
    with pytest.raises(InputError, match=words):
        read_labelled(path, Tier.CCSD, unit)
    right = "eV" if scale == 1 else "kcal/mol"
    assert read_labelled(path, Tier.CCSD, right).unit == right
    assert read_labelled(path, Tier.CCSD, unit, trust=True)
    with pytest.raises(InputError, match=words.replace("--unit", "--dft-unit")):
        read_labelled(path, Tier.CCSD, unit, unit_option="--dft-unit")


def test_gradients_are_no_forces(tmp_path: Path) -> None:
    """By energies that curvature blurs, and by forces of another file on geometries of both."""
    positions = springs.distortions(300, 1)
    energy, forces = springs.labels(positions, springs.ACCURATE)
    energy += np.random.default_rng(4).normal(scale=0.7 * energy.std(), size=len(energy))
    path = tmp_path / "gradients.npz"
    springs.write(path, positions, springs.ACCURATE, E=energy, F=forces)
    assert len(read_labelled(path, Tier.CCSD, "eV"))
    springs.write(path, positions, springs.ACCURATE, E=energy, F=-forces)
    with pytest.raises(InputError, match="uphill"):
        read_labelled(path, Tier.CCSD, "eV")
    wrong = read_labelled(path, Tier.CCSD, "eV", trust=True)
    near = np.concatenate([springs.turned(positions[:4]), springs.distortions(30, 2)])
    cheap = springs.write(tmp_path / "cheap.npz", near, springs.CHEAP)
    other = read_labelled(cheap, Tier.DFT, None)
    pairs = shared_by(wrong, other)
    with pytest.raises(InputError, match="against each other on 4 geometries"):
        refuse_opposed_forces(wrong, other, pairs)
    right = read_labelled(accurate(tmp_path, positions), Tier.CCSD, None)
    refuse_opposed_forces(right, other, pairs)
    refuse_opposed_forces(wrong, other, pairs[:0])


def test_options_that_only_import_has_are_said_to_be_its(tmp_path: Path) -> None:
    path = springs.write(tmp_path / "bohr.npz", GEOMETRIES / 0.529177, springs.ACCURATE)
    with pytest.raises(InputError, match="no --length-unit: give that to `platform import`"):
        read_labelled(path, Tier.CCSD, None)
    strange = tmp_path / "labels.strange"
    strange.write_text("?")
    with pytest.raises(InputError, match="no --format: give that to `platform import`"):
        read_labelled(strange, Tier.CCSD, None)


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_labelled(tmp_path, Tier.CCSD, None)
    with pytest.raises(InputError, match="There is no file"):
        read_labelled(tmp_path / "absent.npz", Tier.CCSD, None)
    mixed = np.tile(springs.NUMBERS, (30, 1))
    mixed[3] = [8, 6, 1, 1]
    path = tmp_path / "mixed.npz"
    energy, forces = springs.labels(GEOMETRIES, springs.ACCURATE)
    np.savez(path, Z=mixed, R=GEOMETRIES, E=energy, F=forces)
    with pytest.raises(InputError, match="several molecules"):
        read_labelled(path, Tier.CCSD, "eV")
    np.savez(path, z=springs.NUMBERS, R=GEOMETRIES, E=energy)
    with pytest.raises(InputError, match="without forces"):
        read_labelled(path, Tier.CCSD, "eV")


def test_geometries_are_found_turned_mirrored_and_renumbered(tmp_path: Path) -> None:
    others = springs.distortions(20, 2)
    mirrored = GEOMETRIES[4:5] * np.array([1.0, -1.0, 1.0])
    cheap = np.concatenate([others, springs.turned(GEOMETRIES[2:4]), mirrored])
    one = read_labelled(accurate(tmp_path), Tier.CCSD, None)
    other = read_labelled(
        springs.write(tmp_path / "cheap.npz", cheap, springs.CHEAP), Tier.DFT, None
    )
    pairs = shared_by(one, other)
    assert pairs.tolist() == [[2, 20], [3, 21], [4, 22]]
    swapped = springs.write(
        tmp_path / "swapped.npz", cheap[:, ORDER], springs.CHEAP, z=springs.NUMBERS[ORDER]
    )
    renumbered = read_labelled(swapped, Tier.DFT, None, trust=True)
    assert shared_by(one, renumbered).tolist() == pairs.tolist()
    nearby = springs.write(
        tmp_path / "near.npz", GEOMETRIES + np.array([[0.0], [0.0], [3e-3], [0.0]]), springs.CHEAP
    )
    assert not len(shared_by(one, read_labelled(nearby, Tier.DFT, None)))


def test_paired_labels_are_turned_into_place(tmp_path: Path) -> None:
    mirrored = GEOMETRIES[4:5] * np.array([1.0, -1.0, 1.0])
    cheap = np.concatenate([springs.turned(GEOMETRIES[[9, 2]]), mirrored])
    cheap = np.concatenate([cheap, springs.distortions(20, 3)])
    one = read_labelled(accurate(tmp_path), Tier.CCSD, None)
    other = read_labelled(
        springs.write(tmp_path / "cheap.npz", cheap, springs.CHEAP), Tier.DFT, None
    )
    found = paired_labels(one, other, shared_by(one, other))
    assert np.flatnonzero(found.there_N).tolist() == [2, 9]
    energy, forces = springs.labels(GEOMETRIES, springs.CHEAP)
    for frame in (2, 9):
        assert found.energy_N[frame] == pytest.approx(energy[frame], abs=1e-9)
        np.testing.assert_allclose(found.forces_NA3[frame], forces[frame], atol=1e-9)


def test_repeats_inside_a_file(tmp_path: Path) -> None:
    again = np.concatenate([GEOMETRIES, springs.turned(GEOMETRIES[[5]]), GEOMETRIES[[8]]])
    found = read_labelled(accurate(tmp_path, again), Tier.CCSD, None)
    assert repeats_in(found).tolist() == [[5, 30], [8, 31]]


def test_two_molecules_are_refused(tmp_path: Path) -> None:
    one = read_labelled(accurate(tmp_path), Tier.CCSD, None)
    path = springs.write(
        tmp_path / "other.npz", GEOMETRIES, springs.CHEAP, z=np.array([7, 8, 1, 1])
    )
    with pytest.raises(InputError, match=r"holds CH2O, .* H2NO\. Give files of the same molecule"):
        shared_by(one, read_labelled(path, Tier.DFT, None, trust=True))


@pytest.mark.parametrize("name", ["h2co_ccsdt_avtz_4001.npz", "h2co_B3LYP_cc-pVDZ_4001.npz"])
def test_formaldehyde_says_that_it_is_in_ev(repository: Path, name: str) -> None:
    path = repository.parent / "shared/data" / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    with pytest.raises(InputError, match="--unit eV"):
        read_labelled(path, Tier.CCSD, None)
    assert len(read_labelled(path, Tier.CCSD, "eV")) == 4001


@pytest.mark.parametrize("decimals", [4, 5])
def test_rounded_geometries_are_the_same(tmp_path: Path, decimals: int) -> None:
    one = read_labelled(accurate(tmp_path), Tier.CCSD, None)
    rounded = np.round(springs.turned(GEOMETRIES), decimals)
    path = springs.write(tmp_path / "rounded.npz", rounded, springs.CHEAP)
    other = read_labelled(path, Tier.DFT, None)
    pairs = shared_by(one, other)
    assert pairs.tolist() == [[place, place] for place in range(len(GEOMETRIES))]
    assert paired_labels(one, other, pairs).there_N.all()
