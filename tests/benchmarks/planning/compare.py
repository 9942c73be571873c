"""Which share of a fixed budget do campaigns need for the same error? By replay of files.

    python tests/benchmarks/planning/compare.py --out compare --seeds 1
    python tests/benchmarks/planning/compare.py --out compare --table

Three arms on the same test frames of a system and seed, all trained equally long:

- `target`: all money on the target tier, 250 random labels and 50 for validation, from scratch;
- `fixed`: the paper's 200 and 2000 random labels and 50 for validation, tuned: the same money;
- `ours`: `platform run` with a share of that money, everything in it: calibration, validation,
  hold-out, what rounds waste.

The planner's prior is one fitted without the molecule. The first two arms buy no hold-out. A
finished arm is found again in `out/compare.jsonl`, a killed campaign goes on; the end of a run
writes `compare.json` beside this script.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compare_arms import campaign, fixed, prepare_in, target_only
from compare_recipes import PAIRS, WHOLE, Pair, Steps, recipe_of
from compare_records import Compared, append, read, table, write
from prior_fitting import as_toml, without

HERE = Path(__file__).parent
DATA = HERE.parents[3] / "shared" / "data"
SHARES = (0.6, 0.35)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asks for."""

    data: Path
    out: Path
    steps: Steps
    shares: tuple[float, ...]
    extra: str
    note: str
    errors: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--systems", nargs="*", default=[pair.name for pair in PAIRS])
    parser.add_argument("--shares", type=float, nargs="*", default=list(SHARES))
    parser.add_argument("--effort", type=float, default=1.0, help="times the steps of all stages")
    parser.add_argument("--extra", default="", help="further TOML of the campaigns' recipe")
    parser.add_argument("--errors", type=Path, default=HERE / "errors.json")
    parser.add_argument("--note", default="", help="what tells these campaigns from others")
    parser.add_argument("--json", type=Path, default=HERE / "compare.json")
    parser.add_argument("--table", action="store_true", help="only write the JSON and the table")
    options = parser.parse_args()
    log = options.out / "compare.jsonl"
    asked = Asked(
        options.data,
        options.out.absolute(),
        Steps().times(options.effort),
        tuple(options.shares),
        options.extra.replace("\\n", "\n"),
        options.note,
        options.errors,
    )
    for seed in [] if options.table else options.seeds:
        for pair in (pair for pair in PAIRS if pair.name in options.systems):
            for found in _measured(pair, seed, asked, set(read(log))):
                append(log, found)
                print(found.words(), flush=True)
    records = list(read(log).values())
    write(options.json, records)
    print(table(records))


def _measured(pair: Pair, seed: int, asked: Asked, done: set[str]) -> Iterator[Compared]:
    """The arms that aren't known yet; campaigns last, since they take longest."""
    place = asked.out / f"{pair.name}-{seed}"
    plain = prepare_in(place, pair.name, recipe_of(pair, seed, asked.steps, asked.data))
    blank = Compared(system=pair.name, seed=seed, arm="fixed", budget=WHOLE)
    if blank.key not in done:
        yield fixed(plain, pair, blank)
    blank = blank.model_copy(update={"arm": "target"})
    if blank.key not in done:
        yield target_only(plain, pair, blank)
    prior = as_toml(without(pair.name, [asked.errors, HERE / "known.json"]))
    recipe = recipe_of(pair, seed, asked.steps, asked.data, f"{prior}\n{asked.extra}")
    changed = prepare_in(place, f"{pair.name}{asked.note}-campaign", recipe)
    for share in asked.shares:
        update = {"arm": "ours", "budget": share * WHOLE, "note": asked.note}
        blank = blank.model_copy(update=update)
        if blank.key not in done:
            yield campaign(changed, pair, blank)


if __name__ == "__main__":
    main()
