"""A fit is known by what its result follows from, to rounding."""

import torch
from small_models import SMALL

from forgefield.storage.frames import Frames
from forgefield.trainers.fitting.fingerprint import Fingerprint, fingerprint
from forgefield.trainers.fitting.objectives import Labels, Objective, Scores
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.models import Potential, build
from forgefield.trainers.settings import FitSettings


def of(
    frames: Frames, model: Potential, objective: Objective, validation: GraphSet | None = None
) -> Fingerprint:
    return fingerprint(model, GraphSet(frames, 3.0), validation, FitSettings(), objective)


def network(seed: int = 0, **changes: object) -> Potential:
    torch.manual_seed(seed)
    made = build(SMALL[NequIPSettings].model_copy(update=changes))
    made.embedding.requires_grad_(False)
    return made


def test_trained_weights_say_nothing_but_frozen_ones_do(accurate: Frames) -> None:
    one, moved, other = network(), network(), network(1)
    with torch.no_grad():
        for weight in moved.parameters():
            weight.add_(0.0 if not weight.requires_grad else 1.0)
    known = of(accurate, one, Labels())
    assert known.changes(of(accurate, moved, Labels())) == []
    assert known.changes(of(accurate, other, Labels())) == ["the model is another"]


def test_what_has_no_weights_is_of_the_model_too(accurate: Frames) -> None:
    known = of(accurate, network(), Labels())
    for change in ({"neighbours": 5.0}, {"cutoff": 2.9}):
        assert known.changes(of(accurate, network(**change), Labels())) == ["the model is another"]
    assert known.changes(of(accurate, network().double(), Labels())) == ["the model is another"]


def test_objectives_are_told_apart_to_the_rounding_of_a_force_scale(accurate: Frames) -> None:
    model = network()
    known = of(accurate, model, Scores(0.02))
    assert known.changes(of(accurate, model, Scores(0.02 * (1 + 1e-12)))) == []
    for other in (Labels(), Scores(0.03), Scores(0.02, seed=1)):
        assert known.changes(of(accurate, model, other)) == ["the objective is another"]


def test_a_fit_that_is_judged_is_another_than_one_that_is_not(accurate: Frames) -> None:
    model, judged = network(), GraphSet(accurate, 3.0)
    both = of(accurate, model, Labels(), judged), of(accurate, model, Labels())
    for known, now in (both, both[::-1]):
        assert known.changes(now) == ["the validation set is another"]
        assert known.changes(Fingerprint.model_validate_json(known.model_dump_json())) == []
