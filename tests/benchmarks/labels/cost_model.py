"""How well `labelers/costs.py` predicts what labels really take, and what a few measured ones add.

Distorted geometries of small molecules are labelled with one thread, each method after a label of
another molecule that loads its libraries. Printed are CPU seconds over the prediction and their
spread over geometries; then what is left where a molecule is predicted from the smaller ones above
it, by the rule of `platform plan --no-calibrate` (measured over predicted, and the ×/÷ it states).

    taskset -c 0 .venv/bin/python tests/benchmarks/labels/cost_model.py

Four minutes. `--again` prints the table of the last run. Core-seconds throughout: CPU time,
for others may use the core; wall time, which a run is charged, is beside it.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.platform.planning.cost_scaling import Measured, scaled_cost
from forgefield.storage.records import Configuration

METHODS = ("CCSD(T)/cc-pVDZ, frozen core", "PBE/def2-SVP")
MOLECULES = ("water", "methanol", "ethanol", "malonaldehyde")
"""In the order of their cost."""
LABELS = 4
DISTORTION_A = 0.05
"""Å, of every coordinate; some 300 to 500 K."""
KEPT = Path("build/cost_model.json")


@dataclass(frozen=True)
class Row:
    """CPU and wall seconds of labels of one molecule."""

    method: str
    molecule: str
    cpu: list[float]
    wall: list[float]

    @property
    def predicted(self) -> float:
        """By the formula, core-seconds."""
        return labeler_for(self.method).estimate(find_molecule(self.molecule)).core_seconds

    def to_measured(self) -> Measured:
        """As the planner keeps it."""
        scatter = stdev([math.log(each) for each in self.cpu])
        return Measured(self.molecule, self.predicted, fmean(self.cpu), len(self.cpu), scatter)


def geometry(name: str, generator: np.random.Generator) -> Configuration:
    """A distorted copy of a molecule."""
    found = find_molecule(name)
    noise_A3 = generator.normal(0, DISTORTION_A, found.positions_A3.shape)
    return Configuration(found.name, found.numbers, found.positions_A3 + noise_A3)


def measure(method: str, molecule: str, labels: int) -> Row:
    """Label so many distorted geometries."""
    labeler, generator = labeler_for(method), np.random.default_rng(0)
    made = [labeler.label(geometry(molecule, generator)).provenance for _ in range(labels)]
    return Row(method, molecule, [each.cpu_s for each in made], [each.wall_s for each in made])


def measure_all() -> list[Row]:
    """Every method and molecule, kept after each."""
    rows = []
    for method in METHODS:
        labeler_for(method).label(geometry("ammonia", np.random.default_rng(1)))
        for molecule in MOLECULES:
            rows.append(measure(method, molecule, LABELS))
            KEPT.write_text(json.dumps([asdict(row) for row in rows]))
    return rows


def show(rows: list[Row]) -> None:
    """A line a molecule, and median and largest factor of each way to predict."""
    general, scaled = [], []
    for place, row in enumerate(rows):
        own = row.to_measured()
        ratio = own.core_seconds / own.predicted
        general.append(abs(math.log(ratio)))
        said = (
            f"{row.method:29} {row.molecule:13} predicted {own.predicted:6.3g}  cpu "
            f"{own.core_seconds:6.3g}  wall {fmean(row.wall):6.3g}  ratio {ratio:4.2f}  geometries "
            f"×/÷ {math.exp(own.scatter):.3f}"
        )
        before = [r.to_measured() for r in rows[:place] if r.method == row.method]
        if before:
            found = scaled_cost(own.predicted, before)
            left = own.core_seconds / found.core_seconds
            scaled.append(abs(math.log(left)))
            said += f"  from those above: {left:.2f}, ×/÷ {found.high / found.core_seconds:.2f}"
        print(said)
    for name, logs in (("formula alone", general), ("scaled", scaled)):
        print(f"{name}: factor {math.exp(median(logs)):.2f} (median), {math.exp(max(logs)):.2f}")


def main() -> None:
    """Measure, or read what was measured, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    again = parser.parse_args().again
    show([Row(**row) for row in json.loads(KEPT.read_text())] if again else measure_all())


if __name__ == "__main__":
    main()
