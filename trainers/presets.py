"""Sizes and schedules of every model for training on one molecule: data alone, no torch.

A preset holds what a benchmark or a quick start needs: the model, its *standard* training on
accurate frames, its *pre-training* on cheap ones and its *fine-tuning*. Nothing in it depends on
the molecule. Standard training has the steps of pre-training and fine-tuning together, so that
neither wins by its length; validation chooses the best average of all, and stops it where half of
the whole brought nothing better. Fine-tuning, at a sixth of the rate, takes a twelfth of the
chain's steps, a larger part of shorter ones (`with_effort`). GemNet-T and EGNN have the sizes of
ASTEROID (arXiv 2306.03109), SchNet and PaiNN those of their papers (arXiv 1706.08566, 2102.03150).
NequIP's weights have unit variance, so its rate is the larger one. Rates of NequIP, EGNN and
GemNet-T were sought on ethanol (LOG.md).
"""

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.trainers.model_settings import (
    EGNNSettings,
    GemNetSettings,
    ModelSettings,
    NequIPSettings,
    PaiNNSettings,
    SchNetSettings,
)
from forgefield.trainers.settings import FitSettings, refuse_patience

SCHEDULES = ("standard", "pretrain", "finetune")
MOST_TUNING = 1 / 3
"""Share of a short chain's steps that fine-tunes."""


class Preset(Document):
    """A model and how it is trained; what a fit leaves open is the default of `FitSettings`."""

    model: ModelSettings
    standard: FitSettings
    pretrain: FitSettings
    finetune: FitSettings

    @model_validator(mode="after")
    def _nothing_stops_pretraining(self) -> Self:
        refuse_patience(self.pretrain)
        return self


def _preset(model: ModelSettings, rate: float, *, batch: int, wide: int, steps: int) -> Preset:
    """The common shape; `wide` is the batch of pre-training, `steps` the whole chain's length."""
    tuning = steps // 12
    common = FitSettings(
        optimiser="muon",
        rate=rate,
        batch=batch,
        final_rate=1e-3,
        warm_up=500,
        weight_decay=0.0,
        ema=0.999,
        rho=0.01,
    )
    return Preset(
        model=model,
        standard=common.model_copy(
            update={
                "steps": steps,
                "evaluate_every": steps // 50,
                "patience": 24,
            }
        ),
        pretrain=common.model_copy(
            update={"steps": steps - tuning, "batch": wide, "evaluate_every": 1000}
        ),
        finetune=common.model_copy(
            update={
                "steps": tuning,
                "rate": rate / 6,
                "ema": 0.995,
                "evaluate_every": tuning // 40,
            }
        ),
    )


PRESETS: Mapping[str, Preset] = {
    "nequip": _preset(NequIPSettings(), 0.04, batch=8, wide=8, steps=48_000),
    "egnn": _preset(EGNNSettings(), 0.004, batch=8, wide=16, steps=48_000),
    "gemnet": _preset(GemNetSettings(), 0.004, batch=8, wide=8, steps=24_000),
    "painn": _preset(PaiNNSettings(), 0.004, batch=8, wide=8, steps=48_000),
    "schnet": _preset(SchNetSettings(), 0.004, batch=8, wide=8, steps=48_000),
}
"""By the `kind` of the model; the first is the one to take where accuracy counts."""


def preset_of(kind: str) -> Preset:
    """The preset of a kind of model; `InputError` for a kind that there isn't."""
    if kind not in PRESETS:
        raise InputError(f"{kind!r} is no model. Choose from {', '.join(PRESETS)}.")
    return PRESETS[kind]


def with_changes(preset: Preset, changes: Mapping[str, Any]) -> Preset:
    """The preset with some of its settings replaced: {"finetune": {"rate": 1e-4}}, as in TOML.

    Raises pydantic's `ValidationError` for a setting that there isn't.
    """
    merged: dict[str, Any] = preset.model_dump()
    for section, values in changes.items():
        known = merged.get(section)
        whole = isinstance(known, dict) and isinstance(values, Mapping)
        merged[section] = dict(known or {}, **values) if whole else values
    return Preset.model_validate(merged)


def with_effort(preset: Preset, effort: float) -> Preset:
    """Standard training and the chain `effort` times as long; warm-up and evaluations keep shares.

    Of the chain fine-tuning grows with the root of `effort`: its few frames need steps even after a
    short pre-training, and gain little by more of them after a long one (LOG.md). It has a third of
    the chain at most, or what it has at effort 1.
    """
    if not 0 < effort < float("inf"):
        raise InputError(f"an effort of {effort} is no length of training; it must be above 0")
    usual = preset.finetune.steps / (preset.pretrain.steps + preset.finetune.steps)
    share = min(usual / math.sqrt(effort), max(usual, MOST_TUNING))
    return preset.model_copy(
        update={
            "standard": preset.standard.longer(effort),
            "pretrain": preset.pretrain.longer(effort * (1 - share) / (1 - usual)),
            "finetune": preset.finetune.longer(effort * share / usual),
        }
    )
