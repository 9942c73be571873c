"""Several networks of one shape trained as one: losses and gradients of all in each step.

Every network gets what it would get alone with a seed of its own: its batches, the loss of
`fitting.losses` on them, its own clipped gradient, AdamW, its own moving average, and the best of
those on the validation frames stays in it. Only AdamW acts on each weight for itself, so it is the
only optimiser here, and frames must be of one size, so that batches can be stacked. Steps aren't
compiled, and there are no checkpoints: it is for committees that a device trains in minutes.

Legend: `M` networks, `F` frames of the data set, `B` frames of a batch, `A` atoms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, grad_and_value, vmap

from forgefield.storage.errors import InputError, TrainingDiverged
from forgefield.storage.ragged import Integers
from forgefield.trainers.fitting.batches import Batches
from forgefield.trainers.fitting.judging import force_errors
from forgefield.trainers.fitting.losses import loss_sum
from forgefield.trainers.fitting.schedule import decay_at, rate_at
from forgefield.trainers.graphs import Batch, Graph, GraphSet
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.uncertainty.stacked import State, energies_and_forces, energy_of, stack

OF_FRAMES = ("numbers", "positions_A3", "neighbour_AK", "reverse_AK", "shift_AK3", "head_F")
LABELS = ("energy_F", "forces_A3", "weight_F")


def fit_together(
    networks: Sequence[Potential],
    train: GraphSet,
    validation: GraphSet | None,
    settings: FitSettings,
    *,
    draw_MF: Integers | None = None,
) -> Tensor:
    """Train all networks in place; returns their validation errors (M,), NaN without frames.

    Network m has the seed `settings.seed` + m, as one by one. `draw_MF` (M, F) are the places of
    the frames that each is trained on, all of them where it isn't given. Errors are mean |F − f|
    per component in the labels' unit. `patience` counts for all at once: training stops when none
    has improved for so long. Raises `InputError` for another optimiser than AdamW and for frames
    of several sizes, `TrainingDiverged` where a loss is no number any more.
    """
    _refuse(settings, train)
    run = _Together(networks, train, validation, settings, draw_MF)
    while not run.finished:
        run.step()
        if run.steps % settings.evaluate_every == 0 or run.finished:
            run.evaluate()
    run.write_back(networks)
    return run.best_M


def _refuse(settings: FitSettings, train: GraphSet) -> None:
    if settings.optimiser != "adamw":
        raise InputError(
            f"networks are trained together by adamw alone, and the optimiser is "
            f"{settings.optimiser}: set optimiser = adamw (with a rate for it), or train one by one"
        )
    if not train.uniform:
        raise InputError("frames of several sizes can't be trained on together: train one by one")


class _Together:
    def __init__(
        self,
        networks: Sequence[Potential],
        train: GraphSet,
        validation: GraphSet | None,
        settings: FitSettings,
        draw_MF: Integers | None,
    ) -> None:
        self.template, self.train, self.validation = networks[0], train, validation
        self.settings, self.steps, self.stale = settings, 0, 0
        self.values = {name: value.clone() for name, value in stack(networks).items()}
        self.average = {name: value.clone() for name, value in self.values.items()}
        self.best = {name: value.clone() for name, value in self.values.items()}
        some = next(iter(self.values.values()))
        self.best_M = some.new_full((len(networks),), torch.inf, dtype=torch.float64)
        every = np.tile(np.arange(len(train)), (len(networks), 1))
        self.draw_MF = every if draw_MF is None else draw_MF
        self.batches = [
            Batches(len(draw_F), settings.batch, settings.seed + place)
            for place, draw_F in enumerate(self.draw_MF)
        ]
        self.optimiser = torch.optim.AdamW(
            self.values.values(), lr=settings.rate, weight_decay=settings.weight_decay
        )

    @property
    def finished(self) -> bool:
        tired = 0 < self.settings.patience <= self.stale
        return tired or self.steps >= self.settings.steps

    def step(self) -> None:
        """One step of every network."""
        gradient, loss_M = self._gradient()
        if not bool(torch.isfinite(loss_M).all()):
            raise TrainingDiverged(
                f"Losses are {loss_M.tolist()} at step {self.steps + 1}: lower the rate "
                f"({self.settings.rate:g}), or look for labels that can't be right."
            )
        share_M = self._clipping(gradient)
        for name, value in self.values.items():
            value.grad = gradient[name] * share_M.reshape(-1, *[1] * (value.ndim - 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.steps, self.settings)
        self.optimiser.step()
        decay = decay_at(self.steps, self.settings)
        for name, average in self.average.items():
            average.lerp_(self.values[name], 1 - decay)
        self.steps += 1

    def _gradient(self) -> tuple[State, Tensor]:
        """Gradients by name, (M, …), and losses (M,) of each network on its own frames."""
        cut = [
            self.train.batch(draw_F[batches.at(self.steps)])
            for draw_F, batches in zip(self.draw_MF, self.batches, strict=True)
        ]
        graphs = {name: torch.stack([getattr(b.graph, name) for b in cut]) for name in OF_FRAMES}
        labels = {name: torch.stack([getattr(b, name) for b in cut]) for name in LABELS}

        def loss(parameters: State, frames: Mapping[str, Any], known: State) -> Tensor:
            graph = replace(cut[0].graph, **frames)

            def summed(moved_A3: Tensor) -> tuple[Tensor, Tensor]:
                energy = energy_of(self.template, parameters, graph, moved_A3)
                return energy.sum(), energy

            slope_A3, energy_B = grad(summed, has_aux=True)(graph.positions_A3)
            rho, norm = self.settings.rho, self.settings.norm
            own = Batch(graph, **known)
            return loss_sum(energy_B, -slope_A3, own, rho=rho, norm=norm) / graph.frames

        found: tuple[State, Tensor] = vmap(grad_and_value(loss))(self.values, graphs, labels)
        return found

    def _clipping(self, gradient: State) -> Tensor:
        """What each network's gradient is multiplied with, (M,)."""
        square_M = torch.stack([g.flatten(1).square().sum(1) for g in gradient.values()]).sum(0)
        return (self.settings.clip / square_M.sqrt()).clamp(max=1.0)

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
        if self.validation is None:
            return torch.full_like(self.best_M, torch.nan)

        def forces_of(graph: Graph) -> Tensor:
            return energies_and_forces(self.template, self.average, graph)[1]

        error_M = force_errors(forces_of, self.validation, self.settings.batch)
        return error_M.to(self.best_M.device)

    def write_back(self, networks: Sequence[Potential]) -> None:
        """Leave each network with its best average."""
        for place, network in enumerate(networks):
            for name, parameter in network.named_parameters():
                parameter.data.copy_(self.best[name][place])
