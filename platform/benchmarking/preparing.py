"""What both benchmarks ask for, read and checked before anything is computed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.benchmarking.draws import Draw, cheap_pool, draw_frames, with_test_file
from forgefield.platform.benchmarking.files import LabelledFile, read_labelled
from forgefield.platform.benchmarking.matching import Pairs, repeats_in, shared_by
from forgefield.platform.benchmarking.running import device_of, parallel_of
from forgefield.platform.benchmarking.stage_plans import ACCURATE, CHEAP
from forgefield.platform.planning.recipe import describe
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.trainers.presets import Preset, preset_of, with_changes

LARGEST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """Options that both benchmarks share.

    `unit` is of energies in all files, `validation` and `test_frames` replace the draw's numbers,
    `recipe` is TOML that changes the model's preset.
    """

    accurate: Path
    cheap: Path
    test: Path | None
    out: Path
    model: str = "nequip"
    recipe: Path | None = None
    seeds: int = 3
    efforts: tuple[float, ...] = (1.0,)
    validation: int | None = None
    test_frames: int | None = None
    redraw: bool = False
    unit: str | None = None
    trust: bool = False
    parallel: int | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Files, draws by seed and the model: all that was asked for, found and believed.

    `shared` are the pairs (accurate, cheap) of one geometry, `test_shared` (test file, cheap).
    """

    asked: Asked
    accurate: LabelledFile
    cheap: LabelledFile
    test: LabelledFile | None
    shared: Pairs
    test_shared: Pairs
    draws: tuple[Draw, ...]
    preset: Preset
    device: str
    parallel: int

    @property
    def test_file(self) -> LabelledFile:
        """Where the test frames are."""
        return self.accurate if self.test is None else self.test

    def pool(self, draw: Draw, *, paired: bool = False) -> tuple[int, ...]:
        """Cheap frames that pre-training may take beside the frames of a draw.

        With `paired` those with a training frame's geometry too; never a judging frame's.
        """
        used = set(draw.used) - set(draw.train if paired else ())
        pool = cheap_pool(len(self.cheap), self.shared, used)
        if self.test is None:
            return pool
        judged = set(draw.test) | set(draw.dropped_test)
        seen = cheap_pool(len(self.cheap), self.test_shared, judged)
        return tuple(sorted(set(pool) & set(seen)))


def prepare(asked: Asked, train: int, reporter: Reporter) -> Prepared:
    """Read and draw; `train` accurate frames are the most that any row trains on.

    Raises `InputError` for whatever can't be done, before anything is computed.
    """
    preset, device = _preset(asked), device_of(asked.device)
    parallel = parallel_of(asked.parallel, device)
    if not 1 <= asked.seeds <= LARGEST_SEEDS or parallel < 1:
        raise InputError(f"{asked.seeds} seeds, {parallel} at a time: both must be at least 1.")
    _refuse_unbuilt(preset)
    reporter.say(f"Reading {asked.accurate} and {asked.cheap} …")
    accurate = read_labelled(asked.accurate, ACCURATE, asked.unit, trust=asked.trust)
    cheap = read_labelled(asked.cheap, CHEAP, asked.unit, trust=asked.trust)
    test = None
    if asked.test is not None:
        test = read_labelled(asked.test, ACCURATE, asked.unit, trust=asked.trust)
    shared = shared_by(accurate, cheap)
    return Prepared(
        asked=asked,
        accurate=accurate,
        cheap=cheap,
        test=test,
        shared=shared,
        test_shared=shared_by(test, cheap) if test else shared[:0],
        draws=_draws(asked, accurate, test, train),
        preset=preset,
        device=device,
        parallel=parallel,
    )


def draw_notes(draw: Draw) -> tuple[str, ...]:
    """What a reader of the numbers has to know of the accurate frames."""
    dropped = (
        f"Dropped for a geometry that is on another side too: {len(draw.dropped_validation)} "
        f"frames of validation, {len(draw.dropped_test)} of test."
    )
    return (
        f"{len(draw.test)} test frames, {len(draw.validation)} validation frames.",
        dropped,
    )


def formula(numbers: Sequence[int]) -> str:
    """A molecule's formula after Hill: carbon, hydrogen, then the alphabet."""
    symbols = [SYMBOLS[number] for number in numbers]
    order = sorted(set(symbols), key=lambda s: (s != "C", s != "H", s) if "C" in symbols else (s,))
    return "".join(s + (str(symbols.count(s)) if symbols.count(s) > 1 else "") for s in order)


def _preset(asked: Asked) -> Preset:
    preset = preset_of(asked.model)
    if asked.recipe is None:
        return preset
    try:
        changes = tomllib.loads(asked.recipe.read_text(encoding="utf-8"))
        return with_changes(preset, changes)
    except OSError as error:
        raise InputError(f"Can't read the recipe {asked.recipe}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe {asked.recipe} is not TOML: {error}.") from error
    except ValidationError as error:
        raise InputError(f"The recipe {asked.recipe} has {describe(error)}") from error


def _refuse_unbuilt(preset: Preset) -> None:
    from forgefield.trainers.models import MODELS

    if type(preset.model) not in MODELS:
        raise InputError(f"There is no model {preset.model.kind} yet. Choose another --model.")


def _draws(
    asked: Asked, accurate: LabelledFile, test: LabelledFile | None, train: int
) -> tuple[Draw, ...]:
    repeats, own = repeats_in(accurate), None if test is None else shared_by(accurate, test)
    found = []
    for seed in range(asked.seeds if asked.redraw else 1):
        draw = draw_frames(
            len(accurate),
            repeats,
            train=train,
            seed=seed,
            validation=asked.validation,
            test=asked.test_frames if test is None else 0,
        )
        if test is not None and own is not None:
            draw = with_test_file(draw, len(test), own, asked.test_frames)
        found.append(draw)
    return tuple(found)
