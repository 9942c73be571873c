"""Several networks of one shape trained as one: losses and gradients of all in each step.

Every network gets what it would get alone: the loss of `fitting.losses` on the same batches, its
own clipped gradient, AdamW, its own moving average, and the best of those on the validation frames
stays in it. Batches are shared; frames weigh differently where `weight_MF` says so. It has no
checkpoints: it is for committees that a device trains in minutes.

Legend: `M` networks, `F` frames of the data set, `B` frames of a batch, `A` atoms.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, grad_and_value, vmap

from forgefield.storage.records import Array
from forgefield.trainers.fitting.losses import loss_sum
from forgefield.trainers.fitting.schedule import rate_at
from forgefield.trainers.graphs import Batch, GraphSet
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty.stacked import State, energies_and_forces, energy_of, stack


def fit_together(
    networks: Sequence[Potential],
    train: GraphSet,
    validation: GraphSet | None,
    settings: FitSettings,
    *,
    weight_MF: Array | None = None,
) -> Tensor:
    """Train all networks in place; returns their validation errors (M,), NaN without frames.

    Errors are mean |F − f| per component in the labels' unit. `patience` counts for all at once:
    training stops when none has improved for so long.
    """
    run = _Together(networks, train, validation, settings, weight_MF)
    while not run.finished:
        run.step()
        if run.steps % settings.evaluate_every == 0 or run.finished:
            run.evaluate()
    run.write_back(networks)
    return run.best_M


class _Together:
    def __init__(
        self,
        networks: Sequence[Potential],
        train: GraphSet,
        validation: GraphSet | None,
        settings: FitSettings,
        weight_MF: Array | None,
    ) -> None:
        self.template, self.train, self.validation = networks[0], train, validation
        self.settings, self.steps, self.stale = settings, 0, 0
        self.values = {name: value.clone() for name, value in stack(networks).items()}
        self.average = {name: value.clone() for name, value in self.values.items()}
        self.best = {name: value.clone() for name, value in self.values.items()}
        some = next(iter(self.values.values()))
        self.best_M = some.new_full((len(networks),), torch.inf, dtype=torch.float64)
        ones = np.ones((len(networks), len(train)))
        weights = ones if weight_MF is None else np.asarray(weight_MF, dtype=np.float64)
        self.weight_MF = torch.as_tensor(weights).to(some.device, some.dtype)
        self.optimiser = torch.optim.AdamW(
            self.values.values(), lr=settings.rate, weight_decay=settings.weight_decay
        )

    @property
    def finished(self) -> bool:
        tired = 0 < self.settings.patience <= self.stale
        return tired or self.steps >= self.settings.steps

    def step(self) -> None:
        """One step of every network."""
        index = self._batch_index()
        gradient = self._gradient(index)
        share_M = self._clipping(gradient)
        for name, value in self.values.items():
            value.grad = gradient[name] * share_M.reshape(-1, *[1] * (value.ndim - 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.steps, self.settings)
        self.optimiser.step()
        decay = min(self.settings.ema, (1 + self.steps) / (10 + self.steps))
        for name, average in self.average.items():
            average.lerp_(self.values[name], 1 - decay)
        self.steps += 1

    def _gradient(self, index_B: NDArray[np.int64]) -> State:
        batch = self.train.batch(index_B)
        position_A3 = batch.graph.positions_A3

        def loss(parameters: State, weight_B: Tensor) -> Tensor:
            def summed(moved_A3: Tensor) -> tuple[Tensor, Tensor]:
                energy = energy_of(self.template, parameters, batch.graph, moved_A3)
                return energy.sum(), energy

            slope_A3, energy_B = grad(summed, has_aux=True)(position_A3)
            own = Batch(batch.graph, batch.energy_F, batch.forces_A3, weight_B)
            rho, norm = self.settings.rho, self.settings.norm
            return loss_sum(energy_B, -slope_A3, own, rho=rho, norm=norm) / len(index_B)

        weight_MB = self.weight_MF[:, torch.as_tensor(index_B).to(self.weight_MF.device)]
        gradient: State
        gradient, _ = vmap(grad_and_value(loss))(self.values, weight_MB)
        return gradient

    def _clipping(self, gradient: State) -> Tensor:
        """What each network's gradient is multiplied with, (M,)."""
        square_M = torch.stack([g.flatten(1).square().sum(1) for g in gradient.values()]).sum(0)
        return (self.settings.clip / square_M.sqrt()).clamp(max=1.0)

    def _batch_index(self) -> NDArray[np.int64]:
        """A fresh shuffle each epoch, by (seed, epoch), as `fit` has it."""
        size = min(self.settings.batch, len(self.train))
        epoch, place = divmod(self.steps, len(self.train) // size)
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.train))
        return np.asarray(order[place * size : (place + 1) * size])

    def evaluate(self) -> None:
        """Judge the moving averages; keep those that are the best of their network so far."""
        error_M = self._errors()
        better_M = error_M < self.best_M
        if self.validation is None:
            better_M = torch.ones_like(better_M)
        self.best_M = torch.where(better_M, error_M, self.best_M)
        self.stale = 0 if bool(better_M.any()) else self.stale + 1
        for name, best in self.best.items():
            best[better_M] = self.average[name][better_M]

    def _errors(self) -> Tensor:
        summed, count = torch.zeros_like(self.best_M), 0
        for cut in _cuts(self.validation, max(self.settings.batch, 32)):
            _, forces_MA3 = energies_and_forces(self.template, self.average, cut.graph)
            known = torch.isfinite(cut.forces_A3)
            gap_M = (forces_MA3 - cut.forces_A3)[:, known].abs().double().sum(dim=1)
            summed, count = summed + gap_M, count + int(known.sum())
        return summed / count if count else torch.full_like(summed, torch.nan)

    def write_back(self, networks: Sequence[Potential]) -> None:
        """Leave each network with its best average."""
        for place, network in enumerate(networks):
            for name, parameter in network.named_parameters():
                parameter.data.copy_(self.best[name][place])


def _cuts(data: GraphSet | None, size: int) -> Iterator[Batch]:
    if data is not None:
        for start in range(0, len(data), size):
            yield data.batch(np.arange(start, min(start + size, len(data))))
