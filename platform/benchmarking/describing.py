"""What was prepared, in words for a reader of the results."""

from collections.abc import Sequence

from forgefield.platform.benchmarking.draws import Draw, each
from forgefield.trainers.presets import Preset


def draw_notes(draws: Sequence[Draw]) -> tuple[str, ...]:
    """What a reader of the numbers has to know of the accurate frames."""
    test, validation = each(len(d.test) for d in draws), each(len(d.validation) for d in draws)
    unchosen = each(len(d.dropped_validation) for d in draws)
    unjudged = each(len(d.dropped_test) for d in draws)
    dropped = (
        f"Dropped for a geometry that is on another side too: {unchosen} frames of validation, "
        f"{unjudged} of test."
    )
    said = [f"{test} test frames, {validation} validation frames.", dropped]
    if any(draw.held_back for draw in draws):
        held = each(draw.held_back for draw in draws)
        said.append(f"{held} frames are not tested on, so that cheap frames are left to train on.")
    return tuple(said)


def length_note(preset: Preset) -> str:
    """How long the ways of training are, which a difference between them may come from."""
    chain = preset.pretrain.steps + preset.finetune.steps
    return (
        f"At effort 1 standard training has {preset.standard.steps:,} steps at most, pre-training "
        f"and fine-tuning have {chain:,} together."
    )
