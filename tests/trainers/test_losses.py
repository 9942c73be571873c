"""The loss and the weights against formulas written out by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import labelled, make_job
from forgefield.trainers.fitting.losses import HUBER, loss_sum, penalty
from forgefield.trainers.graphs import Batch, Graph
from forgefield.trainers.references import (
    force_scale,
    reference_energies,
    reference_sums,
    relative_energies,
)
from forgefield.trainers.settings import Norm
from forgefield.trainers.stages.data import equal_mass
from forgefield.trainers.stages.weighting import biases, weights

MakeFrames = Callable[..., list[StoredFrame]]


def batch(weight: list[float]) -> Batch:
    none = torch.zeros(3, 0, dtype=torch.int64)
    graph = Graph(
        numbers=torch.ones(3, dtype=torch.int64),
        positions_A3=torch.zeros(3, 3),
        neighbour_AK=none,
        reverse_AK=none,
        shift_AK3=torch.zeros(3, 0, 3),
        frame_A=torch.tensor([0, 1, 1]),
        head_F=torch.zeros(2, dtype=torch.int64),
        frames=2,
    )
    labels = torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 0]])
    return Batch(graph, torch.tensor([1.0, -2.0]), labels, torch.tensor(weight))


@pytest.mark.parametrize(
    ("norm", "force", "energy"),
    [("l1", (1 / 3, 2 / 6), (1, 2)), ("l2", (1 / 3, 4 / 6), (1, 4))],
)
def test_loss_is_the_formula_of_its_docstring(
    norm: Norm, force: tuple[float, float], energy: tuple[float, float]
) -> None:
    found = loss_sum(torch.zeros(2), torch.zeros(3, 3), batch([0.5, 2.0]), rho=0.1, norm=norm)
    first = 0.5 * (0.9 * force[0] + 0.1 * energy[0])
    second = 2.0 * (0.9 * force[1] + 0.1 * energy[1])
    assert float(found) == pytest.approx(first + second, rel=1e-6)


def test_huber_joins_its_two_branches_and_tends_to_l1() -> None:
    x = torch.tensor([0.5 * HUBER, HUBER, 5 * HUBER], dtype=torch.float64)
    expected = [0.125 * HUBER, 0.5 * HUBER, 4.5 * HUBER]
    np.testing.assert_allclose(penalty(x, "huber").numpy(), expected, rtol=1e-12)


def test_energy_only_labels_have_no_force_term() -> None:
    labels = batch([1.0, 1.0])
    labels.forces_A3[1:] = torch.nan
    forces = torch.zeros(3, 3, requires_grad=True)
    loss = loss_sum(torch.zeros(2), forces, labels, rho=0.1, norm="l1")
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.9 / 3 + 0.1 * 3)
    assert forces.grad is not None
    assert forces.grad[1:].abs().max() == 0


def test_bias_is_the_mean_over_atoms_and_components(accurate: Frames) -> None:
    shifted = accurate.forces_A3.copy()
    shifted[accurate.atoms_of(2)] += [[0.3, 0, 0]] * 4
    expected = np.zeros(len(accurate))
    expected[2] = 0.1
    np.testing.assert_allclose(biases(shifted, accurate), expected, atol=1e-15)


def test_weights_are_exp_of_minus_bias_over_gamma() -> None:
    bias = np.array([0.1, 0.2, 0.4])
    found = weights(bias, 1.5)
    assert found.gamma == pytest.approx(0.3)
    expected = np.exp(-bias / 0.3)
    np.testing.assert_allclose(found.weight_F, expected / expected.mean())
    kcal = weights(bias * 23.06, 1.5)
    assert kcal.gamma == pytest.approx(0.3 * 23.06)
    np.testing.assert_allclose(kcal.weight_F, found.weight_F)
    np.testing.assert_array_equal(weights(bias, None).weight_F, 1.0)


def test_molecules_have_a_gamma_each() -> None:
    """One that the teacher doesn't know is far off everywhere; its frames aren't weighted away."""
    known, strange = np.array([0.1, 0.2, 0.4]), np.array([10.0, 20.0, 40.0])
    found = weights(np.concatenate([known, strange]), 1.5, np.array([0, 0, 0, 1, 1, 1]))
    alone = weights(known, 1.5).weight_F
    np.testing.assert_allclose(found.weight_F, np.concatenate([alone, alone]))
    assert weights(np.concatenate([known, strange]), 1.5).weight_F[3:].sum() < 1


def test_equal_mass_gives_each_method_the_same_sum() -> None:
    weight = equal_mass(np.array([1.0, 3.0, 2.0, 2.0, 2.0]), np.array([0, 0, 1, 1, 1]))
    assert weight[:2].sum() == pytest.approx(weight[2:].sum())
    assert weight[1] == pytest.approx(3 * weight[0])
    assert weight.mean() == pytest.approx(1.0)


def test_references_remove_what_methods_differ_by(make_frames: MakeFrames) -> None:
    ccsd, xtb = make_frames(Tier.CCSD, 5, 1), make_frames(Tier.XTB, 5, 1)
    mixed = from_stored([*ccsd, *xtb])
    left = relative_energies(mixed)
    assert abs(mixed.energy_F[:5].mean() - mixed.energy_F[5:].mean()) > 10
    assert abs(left[:5].mean()) < 1e-9
    assert abs(left[5:].mean()) < 1e-9
    with pytest.raises(InputError, match="one method"):
        reference_energies(mixed)


def test_references_find_the_energy_per_element() -> None:
    stored = []
    for number in range(9):
        outcome = labelled(make_job(number))
        energy = sum({6: -38.0, 8: -75.0, 1: -0.5}[z] for z in outcome.job.configuration.numbers)
        label = replace(outcome.result, energy=energy)
        stored.append(StoredFrame(number + 1, outcome.job, label, 1))
    frames = from_stored(stored)
    found = reference_energies(frames)
    assert found == pytest.approx({1: -0.5, 6: -38.0, 8: -75.0})
    np.testing.assert_allclose(reference_sums(frames, found), frames.energy_F)
    with pytest.raises(InputError, match=r"\[8\]"):
        reference_sums(frames, {1: 0.0, 6: 0.0})


def test_force_scale_is_the_root_mean_square(accurate: Frames) -> None:
    assert force_scale(accurate) == pytest.approx(float(np.std(accurate.forces_A3)), rel=0.05)
