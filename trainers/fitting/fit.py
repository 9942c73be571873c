"""Plain torch training of one model on one set of frames. It knows nothing of stages or Ray.

Never broken:
- the run is a function of (model, data, settings) on one machine: batches follow from the seed and
  the step number alone, so nothing random has to be remembered; what is chosen by a stopwatch is
  chosen once for the machine (`product_choices`);
- an interrupted run that is started again with the same checkpoint file ends with the same
  bits as one that was never interrupted (same machine, same thread count), compiled or not. This
  is claimed and tested on CPUs. On a GPU frames of one size leave nothing to atomics but what the
  compiler makes of it, and it may time kernels that round differently;
- what diverges ends with an error, not with weights;
- a checkpoint is complete and atomic: weights, their moving average, the best average so far,
  the optimiser's state, step, patience and history, in one renamed file, no pickle; that of
  another fit is refused;
- with torch.distributed initialised, N workers do what one does with the same batch, to
  rounding: each takes every N-th frame of the batch, gradients are summed.

Forces of the validation frames decide: mean absolute error per component, of the moving average.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgefield.storage.errors import InputError, TrainingDiverged
from forgefield.trainers.fitting.batches import Batches
from forgefield.trainers.fitting.captured import CapturedStep, NotCompiled, pays
from forgefield.trainers.fitting.checkpoints import read_checkpoint, save_atomically
from forgefield.trainers.fitting.fingerprint import Fingerprint, fingerprint, refuse_another
from forgefield.trainers.fitting.flat import FlatParameters
from forgefield.trainers.fitting.judging import force_error
from forgefield.trainers.fitting.objectives import Labels, Objective
from forgefield.trainers.fitting.optimisers import optimiser_for
from forgefield.trainers.fitting.processes import (
    of_first_worker,
    rank,
    sum_over_workers,
    workers,
)
from forgefield.trainers.fitting.schedule import decay_at, rate_at
from forgefield.trainers.fitting.state import State
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.settings import FitSettings, Progress

SAVE_SECONDS = 30.0  # a kill loses no more; a checkpoint takes less than a hundredth of it


@dataclass(frozen=True, slots=True)
class FitResult:
    """How a fit ended: the weights left in the model are those of step `best_step`.

    `seconds` is wall time, that of interrupted processes included up to their last checkpoint;
    `said` is what people should know, as in `Progress`.
    """

    steps: int
    best_step: int
    validation: float
    seconds: float = field(compare=False)
    history: tuple[Progress, ...]
    said: str = field(default="", compare=False)


Watch = Callable[[Progress], None]


def fit(
    model: Potential,
    train: GraphSet,
    validation: GraphSet | None,
    settings: FitSettings,
    *,
    scale: float,
    objective: Objective | None = None,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> FitResult:
    """Train `model` in place, on the device and in the type of its parameters.

    `objective` is what is made small, by default labels as `settings` weigh them. Parameters that
    don't require gradients stay as they are. Labels in `train` and `validation` are already
    divided by `scale` (eV/Å). With validation frames the best moving average stays in the model,
    without them the last one does. Raises `InputError` where `checkpoint` is of another fit.
    """
    run = _Fit(model, train, validation, settings, scale, objective)
    if checkpoint is not None:
        run.restore(checkpoint)
    while not run.state.finished(settings):
        run.step()
        if run.state.step % settings.evaluate_every == 0 or run.state.finished(settings):
            line = run.evaluate()
            if watch is not None:
                watch(replace(line, said=run.said))
        if checkpoint is not None and (run.due() or run.state.finished(settings)):
            run.save(checkpoint)
    return run.result()


class _Fit:
    def __init__(
        self,
        model: Potential,
        train: GraphSet,
        validation: GraphSet | None,
        settings: FitSettings,
        scale: float,
        objective: Objective | None = None,
    ) -> None:
        self.model, self.train, self.validation = model, train, validation
        self.objective = objective or Labels(settings.rho, settings.norm)
        self.settings, self.scale = settings, scale
        self.flat = FlatParameters(model)
        self.average = self.flat.values.detach().clone()
        self.best = self.average.clone()
        self.optimiser = optimiser_for(self.flat, model, settings)
        self.state = State()
        self._began = self._saved = time.monotonic()
        compiled = pays(settings, train, self.flat.values.device)
        self.captured = CapturedStep(model, self.objective) if compiled else None
        self.said = ""
        self.batches = Batches(len(train), settings.batch, settings.seed)

    def step(self) -> None:
        index = self.batches.at(self.state.step)
        mine = index[rank() :: workers()]
        self.flat.gradient.zero_()
        loss = torch.zeros((), device=self.flat.gradient.device)
        if len(mine):
            loss = self._descend(mine, 1 / len(index))
        sum_over_workers(self.flat.gradient)
        self._advance(float(sum_over_workers(loss.detach())))

    def _descend(self, index: NDArray[np.int64], share: float) -> Tensor:
        """Loss of these frames times `share`; its gradient goes into `flat.gradient`."""
        batch = self.train.batch(index)
        extra = self.objective.draw(batch.graph, torch.as_tensor(index), self.state.step)
        if self.captured is not None:
            try:
                loss, gradient = self.captured(self.flat.values.detach(), batch, extra)
            except NotCompiled as error:
                self.captured, self.said = None, str(error)
            else:
                torch.mul(gradient, share, out=self.flat.gradient)
                return loss * share
        loss = self.objective(self.model, batch, extra) * share
        loss.backward(inputs=self.flat.parts)  # type: ignore[no-untyped-call]
        return loss

    def _advance(self, loss: float) -> None:
        state, settings = self.state, self.settings
        norm = self.flat.clip(settings.clip)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"The loss is {loss:g} and its gradient {norm:g} at step {state.step + 1} of "
                f"{settings.steps}: lower the rate ({settings.rate:g}), or look for labels that "
                "can't be right."
            )
        self.optimiser.step(rate_at(state.step, settings))
        self.average.lerp_(self.flat.values.detach(), 1 - decay_at(state.step, settings))
        state.advance(loss)

    def evaluate(self) -> Progress:
        """Judge the moving average; remember it if it is the best so far."""
        error = self._validation_error()
        if self.state.judge(error, last=self.validation is None):
            self.best.copy_(self.average)
        return self.state.report(error, self.settings.steps)

    def _validation_error(self) -> float:
        if self.validation is None:
            return math.nan
        self.flat.swap(self.average)
        error = force_error(self.model, self.validation, self.settings.batch) * self.scale
        self.flat.swap(self.average)
        error = of_first_worker(error)
        if not math.isfinite(error):
            raise TrainingDiverged(
                f"The force error on the validation frames is {error:g} at step {self.state.step} "
                f"of {self.settings.steps}: lower the rate ({self.settings.rate:g}), or look for "
                "validation frames without forces."
            )
        return error

    def result(self) -> FitResult:
        self.flat.values.data.copy_(self.best)
        state = self.state
        return FitResult(
            state.step, state.best_step, state.best, self._seconds(), state.lines(), self.said
        )

    def _seconds(self) -> float:
        """Wall time so far, that of processes before this one included."""
        return self.state.seconds + time.monotonic() - self._began

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What a checkpoint of this fit is known by."""
        parts = self.model, self.train, self.validation, self.settings, self.objective
        return fingerprint(*parts)

    def due(self) -> bool:
        """Whether it is time for a checkpoint, by steps or by the clock."""
        late = time.monotonic() - self._saved >= SAVE_SECONDS
        return late or self.state.step % self.settings.save_every == 0

    def save(self, path: Path) -> None:
        self._saved = time.monotonic()
        if rank() != 0:
            return
        tensors = {
            "values": self.flat.values.detach(),
            "average": self.average,
            "best": self.best,
            **self.optimiser.state(),
        }
        products = {} if self.captured is None else self.captured.products
        notes = {
            "state": self.state.dumps(self._seconds()),
            "products": json.dumps(products),
            "fingerprint": self.fingerprint.model_dump_json(),
        }
        save_atomically(path, tensors, notes)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, where there is one; older versions' have no fingerprint."""
        kept = read_checkpoint(path)
        if kept is None:
            return
        stored, notes = kept
        if "state" not in notes:
            raise InputError(f"{path} is no checkpoint of a fit: name another file for it")
        if "fingerprint" in notes:
            refuse_another(path, notes["fingerprint"], self.fingerprint)
        self.state = State.loads(notes["state"])
        if self.captured is not None:
            self.captured.products.update(json.loads(notes["products"]))
        self.flat.values.data.copy_(stored["values"])
        self.average.copy_(stored["average"])
        self.best.copy_(stored["best"])
        self.optimiser.restore(stored)
