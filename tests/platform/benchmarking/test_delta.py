"""Labels of two methods at the same geometries: pairs, differences, and what is learnt of them."""

from pathlib import Path

import numpy as np
import pytest
import spring_files as springs
from numpy.testing import assert_allclose

from forgefield.platform.benchmarking.stores import difference_file
from forgefield.platform.foreign_labels.files import LabelledFile, read_labelled
from forgefield.platform.foreign_labels.matching import paired_labels, shared_by
from forgefield.storage.records import Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.baselines.sgdml import SGDMLSettings, fit

ACCURATE, CHEAP = Tier.CCSD, Tier.DFT


def reference(repository: Path, name: str, tier: Tier, unit: str | None = None) -> LabelledFile:
    path = repository.parent / "shared/data" / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    return read_labelled(path, tier, unit)


def test_labels_of_a_turned_geometry_are_subtracted_in_its_orientation(tmp_path: Path) -> None:
    """Accurate frames 0, 1, 2 are cheap frames 5, 2 and none."""
    shapes = springs.distortions(9, 1)
    cheap = springs.write(tmp_path / "low.npz", shapes[:8], springs.CHEAP)
    turned = np.concatenate([springs.turned(shapes[[5, 2]]), shapes[8:]])
    high = springs.write(tmp_path / "high.npz", turned, springs.ACCURATE)
    low = read_labelled(cheap, CHEAP, None, trust=True)
    own = read_labelled(high, ACCURATE, None, trust=True)
    paired = paired_labels(own, low, shared_by(own, low))
    assert paired.there_N.tolist() == [True, True, False]
    found = difference_file(own, paired)
    wanted = [
        one - other
        for one, other in zip(
            springs.labels(turned, springs.ACCURATE),
            springs.labels(turned, springs.CHEAP),
            strict=True,
        )
    ]
    assert_allclose(found.energy_N[:2], wanted[0][:2], atol=1e-9)
    assert_allclose(found.forces_NA3[:2], wanted[1][:2], atol=1e-8)
    assert np.isnan(found.energy_N[2])
    assert found.sha256 not in {own.sha256, low.sha256}


def test_mirror_images_and_other_numberings_have_no_labels_of_each_other(tmp_path: Path) -> None:
    """Their distances are the same, so they count as shared; their forces are others."""
    shapes = springs.distortions(6, 1)
    low = springs.write(tmp_path / "low.npz", shapes, springs.CHEAP)
    cheap = read_labelled(low, CHEAP, None, trust=True)
    for name, other in {"mirror": shapes * [-1, 1, 1], "order": shapes[:, [0, 1, 3, 2]]}.items():
        path = springs.write(tmp_path / f"{name}.npz", other, springs.ACCURATE)
        own = read_labelled(path, ACCURATE, None, trust=True)
        shared = shared_by(own, cheap)
        assert len(shared) == 6
        assert not paired_labels(own, cheap, shared).there_N.any()


def test_formaldehyde_differences_are_easier_to_learn_than_forces(repository: Path) -> None:
    """B3LYP/cc-pVDZ and CCSD(T)-F12B at the same geometries."""
    cheap = reference(repository, "h2co_B3LYP_cc-pVDZ_4001.npz", CHEAP, "eV")
    accurate = reference(repository, "h2co_ccsdt_avtz_4001.npz", ACCURATE, "eV")
    order = np.random.default_rng(0).permutation(len(accurate))[:400].tolist()
    train, validation, unseen = order[:60], order[60:100], order[100:]
    paired = paired_labels(accurate, cheap, shared_by(accurate, cheap))
    differences = difference_file(accurate, paired)
    settings = SGDMLSettings(sigmas=(10.0,))
    plain = fit(accurate.frames(train), accurate.frames(validation), settings)
    correction = fit(differences.frames(train), differences.frames(validation), settings)
    test = accurate.frames(unseen)
    energy_F, forces_A3 = correction.predict(test)
    forces_A3 = forces_A3 + paired.forces_NA3[unseen].reshape(-1, 3)
    error = np.abs(forces_A3 - test.forces_A3).mean()
    assert error < 0.5 * np.abs(plain.predict(test)[1] - test.forces_A3).mean()
    assert np.abs(energy_F + paired.energy_N[unseen] - test.energy_F).mean() < 0.01


def test_ethanol_differs_by_what_was_measured(repository: Path) -> None:
    """The 23 frames that the CCSD(T) file shares with rMD17."""
    accurate = reference(repository, "ethanol_ccsd_t-train.npz", ACCURATE)
    cheap = reference(repository, "rmd17_ethanol.npz", CHEAP)
    paired = paired_labels(accurate, cheap, shared_by(accurate, cheap))
    assert paired.there_N.sum() == 23
    gap = difference_file(accurate, paired).forces_NA3[paired.there_N]
    assert np.abs(gap).mean() * KCAL_PER_MOL_PER_EV == pytest.approx(8.5, abs=0.2)
