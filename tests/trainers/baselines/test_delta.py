"""Δ-learning: pairs of frames, their differences, and what comes of adding them again."""

import json

import numpy as np
import pytest
import torch
from flat_molecules import CCSD, DATA, DFT, ethanol, frames_of, reference

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Method, Tier
from forgefield.storage.units import EV_PER_KCAL_PER_MOL
from forgefield.trainers.baselines.delta import KnownLabels, Sum, difference_frames
from forgefield.trainers.baselines.same_geometries import match
from forgefield.trainers.baselines.sgdml import SGDMLSettings, fit
from forgefield.trainers.fitting.fit import fit as fit_network
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import force_scale, reference_energies, relative_energies
from forgefield.trainers.settings import FitSettings

NUMBERS = np.array([6, 8, 1, 1])
B3LYP = Method(Tier.DFT, "B3LYP/cc-pVDZ")


def turn(random: np.random.Generator) -> Array:
    """A random proper rotation."""
    basis = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return basis * np.sign(np.linalg.det(basis))


def two_methods(*, turned: bool) -> tuple[Frames, Frames, Array]:
    """Eight cheap frames, and accurate ones at geometries 5, 2 and a new one; turns of the two."""
    random = np.random.default_rng(0)
    shape = random.normal(size=(9, 4, 3))
    energies, forces = random.normal(size=9), random.normal(size=(9, 4, 3))
    cheap = frames_of(NUMBERS, shape[:8], energies[:8], forces[:8], DFT)
    turns = np.array([turn(random) if turned else np.eye(3) for _ in range(3)])
    moved = shape[[5, 2, 8]] @ turns + (random.normal(size=3) if turned else 0.0)
    more = (forces[[5, 2, 8]] + 0.5) @ turns
    return cheap, frames_of(NUMBERS, moved, energies[[5, 2, 8]] + 2.0, more), turns


@pytest.mark.parametrize("turned", [False, True])
def test_labels_of_the_same_geometry_are_subtracted_in_its_orientation(*, turned: bool) -> None:
    cheap, accurate, turns = two_methods(turned=turned)
    found = difference_frames(cheap, accurate)
    assert [method.name for method in found.methods] == ["CCSD(T)/cc-pVTZ − PBE/def2-SVP"]
    np.testing.assert_array_equal(found.geometry_F, accurate.geometry_F[:2])
    np.testing.assert_allclose(found.energy_F, 2.0, atol=1e-12)
    expected = np.full((2, 4, 3), 0.5) @ turns[:2]
    np.testing.assert_allclose(found.forces_A3.reshape(2, 4, 3), expected, atol=1e-9)


def test_mirror_images_and_other_numberings_are_no_pairs() -> None:
    cheap, _, _ = two_methods(turned=False)
    shape = cheap.positions_A3.reshape(8, 4, 3)
    zero = np.zeros_like(shape)
    mirrored = frames_of(NUMBERS, shape * [1, 1, -1], zero[:, 0, 0], zero)
    assert not len(match(cheap, mirrored).asked_P)
    swapped = frames_of(NUMBERS, shape[:, [0, 1, 3, 2]], zero[:, 0, 0], zero)
    assert not len(match(cheap, swapped).asked_P)
    charged = frames_of(NUMBERS[[1, 0, 2, 3]], shape, zero[:, 0, 0], zero)
    assert not len(match(cheap, charged).asked_P)


def test_the_sum_gives_the_accurate_labels_back() -> None:
    cheap, accurate, _ = two_methods(turned=True)
    both = accurate.select(np.array([0, 1]))
    whole = Sum(KnownLabels(cheap), KnownLabels(difference_frames(cheap, accurate)))
    energies, forces = whole.predict(both)
    np.testing.assert_allclose(energies, both.energy_F, atol=1e-12)
    np.testing.assert_allclose(forces, both.forces_A3, atol=1e-9)


def test_what_has_no_pair_is_named() -> None:
    cheap, accurate, _ = two_methods(turned=False)
    with pytest.raises(InputError, match="1 of 3 frames have no label by PBE/def2-SVP"):
        KnownLabels(cheap).predict(accurate)
    with pytest.raises(InputError, match="No geometry has labels of both"):
        difference_frames(cheap, accurate.select(np.array([2])))
    with pytest.raises(InputError, match="one method; they hold"):
        difference_frames(Frames.concatenate([cheap, accurate]), accurate)


def formaldehyde(count: int) -> tuple[Frames, Frames]:
    """B3LYP/cc-pVDZ and CCSD(T)-F12B at the same geometries."""
    made = []
    for name, method in (
        ("h2co_B3LYP_cc-pVDZ_4001.npz", B3LYP),
        ("h2co_ccsdt_avtz_4001.npz", CCSD),
    ):
        found = reference(name)
        which = np.random.default_rng(0).permutation(len(found["E"]))[:count]
        labels = found["E"][which], found["F"][which]
        made.append(frames_of(NUMBERS, found["R"][which], *labels, method))
    return made[0], made[1]


def test_formaldehyde_differences_are_easier_to_learn_than_forces() -> None:
    cheap, accurate = formaldehyde(400)
    train, validation, unseen = (
        accurate.select(np.arange(*span)) for span in ((0, 60), (60, 100), (100, 400))
    )
    settings = SGDMLSettings(sigmas=(10.0,))
    plain = fit(train, validation, settings)
    correction = fit(
        difference_frames(cheap, train), difference_frames(cheap, validation), settings
    )
    whole = Sum(KnownLabels(cheap), correction)
    energies, forces = whole.predict(unseen)
    error = np.abs(forces - unseen.forces_A3).mean()
    assert error < 0.5 * np.abs(plain.predict(unseen)[1] - unseen.forces_A3).mean()
    assert np.abs(energies - unseen.energy_F).mean() < 0.01


def test_a_network_trains_on_differences() -> None:
    cheap, accurate = formaldehyde(120)
    differences = difference_frames(cheap, accurate)
    train, unseen = differences.select(np.arange(80)), accurate.select(np.arange(80, 120))
    model = EGNNSettings(layers=2, channels=16, radial=8, elements=(1, 6, 8), cutoff=4.0)
    metadata = Metadata(
        method=differences.methods[0].name,
        scale=force_scale(train),
        references=reference_energies(train),
        model=model,
    )
    field = ForceField.fresh(metadata)
    graphs = GraphSet(train, 4.0, energy_F=relative_energies(train), scale=metadata.scale)
    settings = FitSettings(steps=200, batch=10, rate=3e-3, evaluate_every=100)
    torch.manual_seed(0)
    fit_network(field.network, graphs, None, settings, scale=metadata.scale)
    forces = Sum(KnownLabels(cheap), field).predict(unseen)[1]
    base = KnownLabels(cheap).predict(unseen)[1]
    assert np.abs(forces - unseen.forces_A3).mean() < 0.7 * np.abs(base - unseen.forces_A3).mean()


def test_ethanol_pairs_with_rmd17_are_found() -> None:
    found = reference("rmd17_ethanol.npz")
    unit = EV_PER_KCAL_PER_MOL
    cheap = frames_of(found["z"], found["R"], found["E"] * unit, found["F"] * unit, DFT)
    text = (DATA / "ethanol_pairs_with_rmd17.json").read_text(encoding="utf-8")
    expected = [tuple(pair) for pair in json.loads(text)["ethanol_ccsd_t-train.npz"]]
    pairs = match(cheap, ethanol(), tolerance=1e-3)
    indices = found["md17_index"][pairs.known_P].tolist()
    assert set(zip(pairs.asked_P.tolist(), indices, strict=True)) >= set(expected)
    differences = difference_frames(cheap, ethanol(), tolerance=1e-3)
    assert np.abs(differences.forces_A3).mean() / unit == pytest.approx(8.5, abs=0.2)
