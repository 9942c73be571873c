"""Periodic boxes: neighbours through images, energies of supercells, forces and virials."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from boxes_at_hand import NUMBERS, SKEWED, WATER, supercell
from graphs_at_hand import graph_of
from made_frames import few_frames
from small_models import SMALL
from torch import Tensor

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.graphs.boxes import pairs_in_box, pairs_of_frames
from forgefield.trainers.graphs.neighbours import into_slots
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings, PaiNNSettings
from forgefield.trainers.models import MODELS, Potential, build, energy_and_forces
from forgefield.trainers.models.virial import energy_forces_virial

CUTOFF = 3.0
SETTINGS: list[ModelSettings] = [
    EGNNSettings(layers=2, channels=8, radial=6, cutoff=CUTOFF, elements=(1, 8)),
    PaiNNSettings(layers=2, channels=8, radial=4, cutoff=CUTOFF, elements=(1, 8)),
]


@pytest.fixture(params=SETTINGS, ids=["EGNN", "PaiNN"])
def model(request: pytest.FixtureRequest) -> Potential:
    torch.manual_seed(0)
    return build(request.param).double()


@pytest.fixture(params=list(MODELS), ids=lambda kind: kind.__name__.removesuffix("Settings"))
def any_model(request: pytest.FixtureRequest) -> Potential:
    """A new model without small settings fails by KeyError; weights are shaken off zero."""
    torch.manual_seed(0)
    made = build(SMALL[request.param]).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def brute_force(positions: Array, cell_33: Array, cutoff: float) -> set[tuple[int, ...]]:
    """(i, j, image) of all pairs within the cutoff, from all images that could be near."""
    along = [range(-8, 9) if row.any() else range(1) for row in cell_33]
    found = set()
    for image in product(*along):
        move = np.array(image) @ cell_33
        gap = positions[None] + move - positions[:, None]
        near = np.linalg.norm(gap, axis=2) < cutoff
        if image == (0, 0, 0):
            np.fill_diagonal(near, val=False)
        found |= {(int(i), int(j), *image) for i, j in zip(*near.nonzero(), strict=True)}
    return found


@pytest.mark.parametrize("along", [(1, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_those_of_a_search_through_all_images(along: tuple[int, ...], seed: int) -> None:
    random = np.random.default_rng(seed)
    cell = (2.5 * np.eye(3) + random.normal(scale=0.4, size=(3, 3))) * np.array(along)[:, None]
    positions = random.normal(scale=4.0, size=(4, 3))
    pairs = pairs_in_box(positions, cell, 4.0)
    found = list(
        zip(pairs.atom.tolist(), pairs.neighbour.tolist(), *pairs.image_E3.T.tolist(), strict=True)
    )
    expected = brute_force(positions, cell, 4.0)
    assert any(i == j for i, j, *_ in expected)
    assert len(found) == len(expected)
    assert set(found) == expected
    np.testing.assert_allclose(pairs.shift_E3, pairs.image_E3 @ cell)


def test_reverse_slots_hold_the_opposite_image() -> None:
    positions = WATER.numpy()
    table = into_slots(pairs_in_box(positions, SKEWED.numpy(), CUTOFF), 3, CUTOFF)
    atoms, width = table.neighbour_AK.shape
    own = np.arange(atoms * width).reshape(atoms, width)
    real = table.reverse_AK != own
    assert (table.neighbour_AK[real] == (own // width)[real]).any()
    back = table.shift_AK3.reshape(-1, 3)[table.reverse_AK]
    np.testing.assert_allclose(back[real], -table.shift_AK3[real])
    np.testing.assert_array_equal(table.reverse_AK.reshape(-1)[table.reverse_AK], own)
    np.testing.assert_array_equal(
        table.neighbour_AK.reshape(-1)[table.reverse_AK][real], (own // width)[real]
    )


def test_a_supercell_has_the_energy_and_forces_of_its_cells(any_model: Potential) -> None:
    energy, forces = energy_and_forces(any_model, graph_of(WATER, numbers=NUMBERS, cell=SKEWED))
    alone, _ = energy_and_forces(any_model, graph_of(WATER, numbers=NUMBERS))
    assert (energy - alone).abs() > 1e-3
    x, cell = supercell(2)
    large, large_forces = energy_and_forces(
        any_model, graph_of(x, numbers=NUMBERS.repeat(8), cell=cell)
    )
    torch.testing.assert_close(large / 8, energy, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(large_forces, forces.repeat(8, 1), rtol=1e-8, atol=1e-10)
    assert forces.abs().max() > 1e-3


def test_the_middle_of_a_cluster_of_images_is_a_box(model: Potential) -> None:
    """No periodic code on this side: 9³ free copies, the energies of the central three atoms.

    Two layers reach 6 Å, and the thinnest direction of the cell is more than 2 Å.
    """
    x, _ = supercell(9)
    cluster = graph_of(x, numbers=NUMBERS.repeat(729))
    middle = slice(3 * 364, 3 * 365)
    with torch.no_grad():
        expected = model.atom_energies(cluster)[middle]
        found = model.atom_energies(graph_of(WATER, numbers=NUMBERS, cell=SKEWED))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


def test_it_does_not_matter_which_image_an_atom_is_given_in(any_model: Potential) -> None:
    images = torch.tensor([[0, 0, 0], [3, -1, 0], [0, 2, -5]], dtype=torch.float64)
    one = energy_and_forces(any_model, graph_of(WATER, numbers=NUMBERS, cell=SKEWED))
    x = WATER + images @ SKEWED
    other = energy_and_forces(any_model, graph_of(x, numbers=NUMBERS, cell=SKEWED))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_forces_and_virial_are_slopes_of_the_energy(any_model: Potential) -> None:
    energy, forces, virial = energy_forces_virial(
        any_model, graph_of(WATER, numbers=NUMBERS, cell=SKEWED)
    )
    step, same = 1e-5, torch.eye(3, dtype=torch.float64)

    def at(x: Tensor, cell: Tensor) -> Tensor:
        return energy_and_forces(any_model, graph_of(x, numbers=NUMBERS, cell=cell))[0]

    torch.testing.assert_close(at(WATER, SKEWED), energy)
    for place in range(9):
        move = torch.zeros(9, dtype=torch.float64)
        move[place] = step
        move = move.reshape(3, 3)
        slope = (at(WATER + move, SKEWED) - at(WATER - move, SKEWED)) / (2 * step)
        torch.testing.assert_close(-slope[0], forces.view(-1)[place], rtol=1e-6, atol=1e-8)
        ends = [at(WATER @ (same + s * move), SKEWED @ (same + s * move)) for s in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        torch.testing.assert_close(slope[0], virial.view(-1)[place], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(virial, virial.transpose(1, 2), rtol=1e-8, atol=1e-10)
    assert virial.abs().max() > 1e-3


def test_virials_of_a_batch_are_those_of_its_frames(model: Potential) -> None:
    other = WATER * 1.1
    together = energy_forces_virial(model, graph_of(WATER, other, numbers=NUMBERS, cell=SKEWED))[2]
    for place, x in enumerate((WATER, other)):
        alone = energy_forces_virial(model, graph_of(x, numbers=NUMBERS, cell=SKEWED))[2]
        torch.testing.assert_close(together[place : place + 1], alone, rtol=1e-9, atol=1e-11)


def mixed_frames() -> Frames:
    """A molecule, a box, a slab and another molecule."""
    frames = few_frames(4, boxed=True)
    cell_F33 = np.tile(3.1 * np.eye(3), (4, 1, 1))
    cell_F33[[0, 3]] = np.nan
    cell_F33[2, 2] = 0.0
    return replace(frames, cell_F33=cell_F33)


def test_data_sets_mix_molecules_and_boxes() -> None:
    frames = mixed_frames()
    graphs = GraphSet(frames, CUTOFF, dtype=torch.float64)
    settings = EGNNSettings(layers=2, channels=8, radial=6, cutoff=CUTOFF, elements=(1, 6, 8))
    torch.manual_seed(0)
    model = build(settings).double()
    energy, _ = energy_and_forces(model, graphs.batch(np.array([2, 0, 1, 3])).graph)
    for place, frame in enumerate((2, 0, 1, 3)):
        atoms = frames.atoms_of(frame)
        box = torch.from_numpy(frames.cell_F33[frame])
        numbers = torch.from_numpy(np.array(frames.numbers[atoms]))
        x = torch.from_numpy(frames.positions_A3[atoms])
        alone, _ = energy_and_forces(model, graph_of(x, numbers=numbers, cell=box))
        torch.testing.assert_close(energy[place : place + 1], alone, rtol=1e-10, atol=1e-11)


def test_a_flat_cell_is_named() -> None:
    frames = mixed_frames()
    frames.cell_F33[1] = [[3.0, 0, 0], [0, 3.0, 0], [3.0, 3.0, 0]]
    with pytest.raises(InputError, match=r"\[3.0, 3.0, 0.0\].* lie in one plane"):
        pairs_of_frames(np.asarray(frames.ptr), frames.positions_A3, frames.cell_F33, CUTOFF)
