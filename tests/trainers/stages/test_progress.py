"""How far stages are is seen from the first moment, and told in words."""

import math
from pathlib import Path

import pytest

from forgefield.storage.records import Tier
from forgefield.trainers.settings import FitSettings, Progress
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.ladder import Ladder, chain_of
from forgefield.trainers.stages.names import in_words
from forgefield.trainers.stages.progress import begun, unfinished, write_progress
from forgefield.trainers.stages.tasks import Phase, Selection, StageProgress, StageTask


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("standard-1", "standard training"),
        ("standard-0.5", "standard training, 50 % of the labels"),
        ("pretrain-unweighted-xtb-dft", "pre-training on xtb, dft"),
        ("pretrain-c-0.5-xtb-unweighted-dft", "pre-training on xtb, dft (c 0.5)"),
        ("pretrain-scores-xtb", "pre-training on xtb (scores)"),
        ("finetune-unweighted-xtb-dft-1", "fine-tuning after xtb, dft"),
        ("finetune-c-2-xtb-0.25", "fine-tuning after xtb (c 2), 25 % of the labels"),
        ("finetune-c-2-xtb-1-member-2", "network 3: fine-tuning after xtb (c 2)"),
        ("seed0-c1-pretrain", "seed0-c1-pretrain"),
    ],
)
def test_names_in_words(name: str, words: str) -> None:
    assert in_words(name) == words


def test_every_stage_of_a_ladder_has_words_of_its_own(tmp_path: Path) -> None:
    settings = AsteroidSettings(c_grid=(None, 0.5, 1.0), curve=(0.25, 0.5))
    ladder = Ladder(tmp_path, tmp_path, settings, tuple(Tier))
    (first, *_), *_ = climbs = ladder.climbs(tmp_path / "standard-1")
    chains = [
        (ladder.standard(1.0), *ladder.standard_curve()),
        *map(chain_of, climbs),
        *committee(chain_of([first]), 3)[1:],
        ladder.finetuned_curve(first.pretrain.output),
    ]
    names = [task.name for chain in chains for task in chain]
    words = [in_words(name) for name in names]
    assert len(names) > 12
    assert len(set(words)) == len(names)
    assert not set(words) & set(names)


def test_a_stage_is_seen_before_its_first_step_and_until_its_folder_is_there(
    tmp_path: Path,
) -> None:
    phase = Phase(frames=Selection(tiers=(Tier.DFT,)), fit=FitSettings(steps=30))
    task = StageTask(name="one", frames=tmp_path, output=tmp_path / "one", phases=(phase,))
    progress = tmp_path / "progress"
    write_progress(progress, begun(task))
    ((name, line),) = unfinished(progress, tmp_path)
    assert (name, line.fit.step, line.fit.steps) == ("one", 0, 30)
    assert math.isnan(line.fit.best)
    write_progress(progress, StageProgress("one", 1, 1, Progress(20, 30, 0.1, 0.2, 0.15)))
    ((_, line),) = unfinished(progress, tmp_path)
    assert (line.fit.step, line.fit.best) == (20, 0.15)
    task.output.mkdir()
    assert not list(unfinished(progress, tmp_path))
