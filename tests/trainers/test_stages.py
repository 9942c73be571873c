"""Stages on a real frame store: reuse, resume, no hold-out, and pre-training that pays."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.evaluation import compare_forces
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid import (
    AsteroidSettings,
    PhaseSettings,
    TrainingOutcome,
    plain_runner,
    train,
)
from forgefield.trainers.stages.data import chosen
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Phase, Selection, StageProgress, StageTask
from forgefield.trainers.uncertainty.committee import of_folders

MODEL = EGNNSettings(layers=2, channels=24, radial=12)
FAST = FitSettings(steps=30, batch=4, rate=3e-3, evaluate_every=10, save_every=10, warm_up=5)


def task(store: Path, output: Path, **changes: object) -> StageTask:
    plain = StageTask(
        name="try",
        frames=store,
        output=output,
        phases=(
            Phase(frames=Selection(tiers=(Tier.XTB,)), fit=FAST),
            Phase(frames=Selection(tiers=(Tier.DFT,)), fit=FAST),
        ),
        validation=Selection(tiers=(Tier.CCSD,), purposes=(Purpose.VALIDATION,)),
        model=MODEL,
    )
    return plain.model_copy(update=changes)


def test_a_finished_stage_is_reused_and_a_changed_one_is_not(
    frame_store: Path, tmp_path: Path
) -> None:
    first = run_stage(task(frame_store, tmp_path / "out"))
    again = run_stage(task(frame_store, tmp_path / "out"))
    assert (first.reused, again.reused) == (False, True)
    assert again.model_copy(update={"reused": False}) == first
    other = run_stage(task(frame_store, tmp_path / "out", seed=1))
    assert not other.reused
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_threads_are_the_task_s_while_it_is_trained(frame_store: Path, tmp_path: Path) -> None:
    """Before and after they are the caller's, also where it ends with an error."""
    before, during = torch.get_num_threads(), list[int]()
    fit = FAST.model_copy(update={"steps": 2, "evaluate_every": 1})
    phase = Phase(frames=Selection(tiers=(Tier.XTB,)), fit=fit)
    two = task(frame_store, tmp_path / "out", threads=before + 1, phases=(phase,))

    def stop(_: StageProgress) -> None:
        during.append(torch.get_num_threads())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(two, stop)
    assert torch.get_num_threads() == before
    run_stage(two)
    assert torch.get_num_threads() == before
    assert during == [before + 1]


def test_an_interrupted_stage_goes_on_and_ends_with_the_same_bits(
    frame_store: Path, tmp_path: Path
) -> None:
    run_stage(task(frame_store, tmp_path / "straight"))

    def stop(line: StageProgress) -> None:
        if (line.phase, line.fit.step) == (2, 20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(task(frame_store, tmp_path / "broken"), stop)
    assert not (tmp_path / "broken").exists()
    steps: list[int] = []
    run_stage(task(frame_store, tmp_path / "broken"), lambda line: steps.append(line.fit.step))
    assert len(steps) < 6
    ends = [
        ForceField.load(tmp_path / name).network.state_dict() for name in ("straight", "broken")
    ]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_training_never_reads_the_hold_out(frame_store: Path) -> None:
    everything = load_frames(frame_store, tuple(Purpose))
    with pytest.raises(InputError, match="hold-out"):
        chosen(everything, Selection(tiers=(Tier.CCSD,), purposes=(Purpose.HOLDOUT,)))
    assert len(chosen(everything, Selection(tiers=(Tier.CCSD,)))) == 6


def test_fractions_are_nested(frame_store: Path) -> None:
    frames = load_frames(frame_store)
    seqs = [
        set(chosen(frames, Selection(tiers=(Tier.CCSD,), fraction=part)).seq_F.tolist())
        for part in (0.25, 0.5, 1.0)
    ]
    assert seqs[0] < seqs[1] < seqs[2]
    assert [len(part) for part in seqs] == [2, 3, 6]


def test_missing_frames_are_named(frame_store: Path, tmp_path: Path) -> None:
    phase = Phase(frames=Selection(tiers=(Tier.EMPIRICAL,)), fit=FAST)
    with pytest.raises(InputError, match="empirical"):
        run_stage(task(frame_store, tmp_path / "out", phases=(phase,)))


@pytest.fixture(scope="module")
def outcome(frame_store: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutcome:
    few = FAST.model_copy(update={"steps": 250, "evaluate_every": 25, "patience": 4})
    long = FAST.model_copy(update={"steps": 300, "batch": 8, "evaluate_every": 300})
    settings = AsteroidSettings(
        model=MODEL,
        standard=few,
        pretrain=(
            PhaseSettings(tiers=(Tier.EMPIRICAL, Tier.XTB), fit=long),
            PhaseSettings(tiers=(Tier.DFT,), fit=FAST),
        ),
        finetune=few.model_copy(update={"rate": 1e-3}),
        c_grid=(1.0, None),
        curve=(0.5,),
    )
    folder = tmp_path_factory.mktemp("training")
    cheap = (Tier.XTB, Tier.DFT)
    first = train(frame_store, folder, settings, plain_runner(), cheap_tiers=cheap)
    again = train(frame_store, folder, settings, plain_runner(), cheap_tiers=cheap)
    assert again.chosen == first.chosen
    assert all(trial.finetune.reused for trial in again.trials)
    return first


def test_three_stages_beat_standard_training_on_unseen_frames(
    outcome: TrainingOutcome, unseen: Frames
) -> None:
    both = outcome.members, outcome.baseline_members
    ours, baseline = (of_folders([each.output for each in members]) for members in both)
    forces, theirs = (each.predict(unseen)[1] for each in (ours, baseline))
    assert compare_forces(forces, theirs, unseen).better == "first"
    error, most = (np.abs(each - unseen.forces_A3).mean() for each in (forces, theirs))
    assert error < 0.7 * most


def test_outcome_says_what_was_tried(outcome: TrainingOutcome) -> None:
    rungs = [(Tier.XTB,), (Tier.XTB, Tier.DFT)]
    assert [(trial.c, trial.tiers) for trial in outcome.trials] == [
        *((1.0, tiers) for tiers in rungs),
        *((None, tiers) for tiers in rungs),
    ]
    assert outcome.best.finetune.validation == min(
        trial.finetune.validation or math.inf for trial in outcome.trials
    )
    for trial in outcome.trials:
        (phase,) = trial.pretrain.phases
        assert trial.gammas == ((phase.median_bias,) if trial.c else (None,))
    assert [(p.kind, p.frames) for p in outcome.curve] == [
        ("standard", 3),
        ("standard", 6),
        ("finetuned", 3),
        ("finetuned", 6),
    ]
    stored = TrainingOutcome.model_validate_json(outcome.model_dump_json())
    assert stored == outcome
    assert ForceField.load(outcome.best.finetune.output).metadata.method == "springs ccsd"
