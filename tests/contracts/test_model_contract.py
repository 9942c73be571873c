"""What every registered model must obey, asked of small ones in float64."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS, graph_of, positions, rotation
from small_models import SMALL
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from forgefield.trainers.fitting.losses import HUBER
from forgefield.trainers.fitting.objectives import Labels
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import Batch, Graph
from forgefield.trainers.model_settings import EGNNSettings, ModelSettings
from forgefield.trainers.models import MODELS, Potential, build, energy_and_forces
from forgefield.trainers.settings import Norm

Step = Callable[[dict[str, Tensor], Tensor], tuple[Tensor, ...]]


@pytest.fixture(params=list(MODELS), ids=lambda kind: kind.__name__.removesuffix("Settings"))
def settings(request: pytest.FixtureRequest) -> ModelSettings:
    """A new model without small settings here fails by KeyError."""
    return SMALL[request.param]


@pytest.fixture
def model(settings: ModelSettings) -> Potential:
    """Its weights are shaken, so that none is zero by its initialisation."""
    torch.manual_seed(0)
    return shaken(settings)


def shaken(settings: ModelSettings) -> Potential:
    made = build(settings).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def test_forces_are_minus_the_slope_of_the_energy(model: Potential) -> None:
    x, step = positions(), 1e-5
    _, forces = energy_and_forces(model, graph_of(x))
    assert forces.abs().max() > 1e-3
    for place in range(x.numel()):
        move = torch.zeros_like(x)
        move.view(-1)[place] = step
        ends = [energy_and_forces(model, graph_of(x + sign * move))[0] for sign in (1, -1)]
        slope = (ends[0] - ends[1])[0] / (2 * step)
        torch.testing.assert_close(-slope, forces.view(-1)[place], rtol=1e-6, atol=1e-8)


def test_gradient_of_a_force_loss_is_right_for_all_parameters(model: Potential) -> None:
    """Along a random direction in the space of all weights."""
    torch.manual_seed(1)
    along = [torch.randn_like(weight) for weight in model.parameters()]

    def loss(step: float) -> Tensor:
        moved = dict(model.named_parameters())
        for (name, weight), direction in zip(list(moved.items()), along, strict=True):
            moved[name] = weight + step * direction
        return force_loss(model, moved, graph_of(positions()))[2]

    loss(0).backward()
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert len(grads) == len(along)
    slope = sum(float((g * d).sum()) for g, d in zip(grads, along, strict=True))
    step = 1e-5
    difference = float((loss(step) - loss(-step)).detach()) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-5)


def force_loss(
    model: Potential, parameters: dict[str, Tensor], graph: Graph
) -> tuple[Tensor, Tensor, Tensor]:
    """Energy, forces and Σ(F − 1)² + Σ E² with these parameters."""
    energy, forces = energy_and_forces(with_weights(model, parameters), graph, training=True)
    return energy, forces, (forces - 1).square().sum() + energy.square().sum()


def with_weights(model: Potential, parameters: dict[str, Tensor]) -> Potential:
    """The model with these parameters in place of its own."""

    def swapped(one: Graph) -> Tensor:
        energy: Tensor = functional_call(model, parameters, (one,))
        return energy

    return swapped  # type: ignore[return-value]


@pytest.mark.parametrize("norm", ["l1", "l2", "huber"])
@pytest.mark.parametrize("rho", [0.001, 0.3])
def test_gradient_of_weighted_labels_is_the_slope_of_their_loss(norm: Norm, rho: float) -> None:
    """Of what fits make small, on frames that weigh differently, one with an energy alone.

    Errors lie on both sides of Huber's corner.
    """
    torch.manual_seed(2)
    model, graph = shaken(SMALL[EGNNSettings]), graph_of(*(positions(seed) for seed in range(3)))
    energy, forces = energy_and_forces(model, graph)
    size = torch.where(torch.rand_like(forces) < 0.5, HUBER, 1.0)
    known = forces + size * torch.randn_like(forces)
    known[6:12] = torch.nan
    weights = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    batch = Batch(graph, energy + torch.randn_like(energy), known, weights)
    along = {name: torch.randn_like(weight) for name, weight in model.named_parameters()}

    def loss(step: float) -> Tensor:
        moved = {name: w + step * along[name] for name, w in model.named_parameters()}
        return Labels(rho, norm)(with_weights(model, moved), batch, ())

    grads = torch.autograd.grad(loss(0), list(model.parameters()))
    slope = sum(float((g * d).sum()) for g, d in zip(grads, along.values(), strict=True))
    step = 1e-6
    difference = float((loss(step) - loss(-step)).detach()) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("mirror", [False, True], ids=["turned", "mirrored"])
def test_energy_is_invariant_and_forces_turn_with_the_molecule(
    model: Potential, mirror: bool
) -> None:
    turn, x = rotation(1, mirror=mirror), positions()
    energy, forces = energy_and_forces(model, graph_of(x))
    moved, moved_forces = energy_and_forces(model, graph_of(x @ turn.T + 7.0))
    torch.testing.assert_close(moved, energy, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(moved_forces, forces @ turn.T, rtol=1e-8, atol=1e-10)
    assert forces.sum(dim=0).abs().max() < 1e-10


def test_atoms_have_no_order_but_elements_matter(model: Potential) -> None:
    x, order = positions(), torch.tensor([3, 0, 5, 1, 4, 2])
    energy, forces = energy_and_forces(model, graph_of(x))
    mixed, mixed_forces = energy_and_forces(model, graph_of(x[order], numbers=NUMBERS[order]))
    torch.testing.assert_close(mixed, energy, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(mixed_forces, forces[order], rtol=1e-8, atol=1e-10)
    other, _ = energy_and_forces(model, graph_of(x, numbers=NUMBERS[order]))
    assert (other - energy).abs() > 1e-5


def test_energies_of_far_molecules_add_up(model: Potential) -> None:
    x, y = positions(0), positions(1)
    joint, joint_forces = energy_and_forces(
        model, graph_of(torch.cat([x, y + 50.0]), numbers=NUMBERS.repeat(2))
    )
    alone = [energy_and_forces(model, graph_of(z)) for z in (x, y)]
    torch.testing.assert_close(joint, alone[0][0] + alone[1][0], rtol=1e-10, atol=1e-11)
    parts = torch.cat([alone[0][1], alone[1][1]])
    torch.testing.assert_close(joint_forces, parts, rtol=1e-8, atol=1e-10)


def test_batches_hold_what_single_frames_have(model: Potential) -> None:
    molecules = [positions(seed) for seed in range(3)]
    energy, forces = energy_and_forces(model, graph_of(*molecules))
    for place, x in enumerate(molecules):
        alone, alone_forces = energy_and_forces(model, graph_of(x))
        torch.testing.assert_close(energy[place : place + 1], alone, rtol=1e-10, atol=1e-11)
        mine = forces[6 * place : 6 * place + 6]
        torch.testing.assert_close(mine, alone_forces, rtol=1e-8, atol=1e-10)


def test_an_atom_alone_has_an_energy_and_no_force(model: Potential) -> None:
    x = torch.zeros(1, 3, dtype=torch.float64)
    energy, forces = energy_and_forces(model, graph_of(x, numbers=torch.tensor([8])))
    assert torch.isfinite(energy).all()
    assert not forces.any()


def test_wider_tables_and_pairs_beyond_the_cutoff_change_nothing(model: Potential) -> None:
    x = positions()
    energy, forces = energy_and_forces(model, graph_of(x, reach=CUTOFF))
    for wider in (graph_of(x, slots=14), graph_of(x, reach=100.0)):
        again, again_forces = energy_and_forces(model, wider)
        torch.testing.assert_close(again, energy, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(again_forces, forces, rtol=1e-10, atol=1e-11)


def test_a_pair_fades_with_two_derivatives_at_the_cutoff(model: Potential) -> None:
    """What the pair adds is of third order in the gap to the cutoff, its force of second."""

    def share(gap: float) -> tuple[Tensor, Tensor]:
        chain = [[0.0, 0, 0], [1.4, 0.3, 0], [CUTOFF - gap, 0, 0]]
        x = torch.tensor(chain, dtype=torch.float64)
        numbers = torch.tensor([6, 8, 1])
        energy, forces = energy_and_forces(model, graph_of(x, numbers=numbers))
        less, less_forces = energy_and_forces(
            model, graph_of(x, numbers=numbers, reach=CUTOFF - 2 * gap)
        )
        return (energy - less).abs().max(), (forces - less_forces).abs().max()

    (near, near_force), (far, far_force) = share(0.0025), share(0.005)
    assert far > 0
    assert near < far / 7
    assert near_force < far_force / 3.5


def test_each_frame_is_read_by_its_own_head(settings: ModelSettings) -> None:
    torch.manual_seed(0)
    model = build(settings.model_copy(update={"heads": 3})).double()
    x = positions()
    graph = graph_of(x, x, x, heads=(2, 0, 1))
    energy, forces = energy_and_forces(model, graph)
    columns = model.atom_energies(graph)[:6].sum(dim=0).detach()
    torch.testing.assert_close(energy, columns[[2, 0, 1]])
    assert torch.pdist(columns[:, None]).min() > 1e-6
    alone, alone_forces = energy_and_forces(model, graph_of(x, heads=(1,)))
    torch.testing.assert_close(energy[2:], alone)
    torch.testing.assert_close(forces[12:], alone_forces)


def metadata(settings: ModelSettings, seed: int) -> Metadata:
    references = dict.fromkeys(ELEMENTS, 0.0)
    return Metadata(method="test", scale=0.5, references=references, model=settings, seed=seed)


def test_weights_follow_from_the_seed(settings: ModelSettings) -> None:
    energies = []
    for seed in (5, 5, 6):
        network = ForceField.fresh(metadata(settings, seed), dtype=torch.float64).network
        energies.append(float(energy_and_forces(network, graph_of(positions()))[0]))
    assert energies[0] == energies[1]
    assert energies[0] != energies[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_force_field_is_the_same_one(
    settings: ModelSettings, tmp_path: Path, dtype: torch.dtype
) -> None:
    made = ForceField.fresh(metadata(settings, 5), dtype=dtype)
    made.save(tmp_path / "ff")
    found = ForceField.load(tmp_path / "ff")
    assert found.metadata == made.metadata
    graph = graph_of(positions().to(dtype))
    energy, forces = energy_and_forces(made.network, graph)
    again, again_forces = energy_and_forces(found.network, graph)
    assert energy.dtype == again.dtype == dtype
    assert torch.equal(energy, again)
    assert torch.equal(forces, again_forces)


def test_a_training_step_can_be_traced(model: Potential) -> None:
    """As one list of tensor operations, which holds for other positions and other weights."""
    table = graph_of(positions(0), positions(1), reach=100.0)

    def step(parameters: dict[str, Tensor], x: Tensor) -> tuple[Tensor, ...]:
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        graph = replace(table, positions_A3=x.detach())
        energy, forces, loss = force_loss(model, leaves, graph)
        grads = torch.autograd.grad(loss, list(leaves.values()))
        return energy.detach(), forces.detach(), loss.detach(), *grads

    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    traced: Step = make_fx(step)(weights, table.positions_A3)
    other_x = torch.cat([positions(2), positions(3)])
    others = {name: weight * 1.1 for name, weight in weights.items()}
    with torch.no_grad():
        found = traced(others, other_x)
    for one, expected in zip(found, step(others, other_x), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-11)
