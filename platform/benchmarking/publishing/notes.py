"""What has to be known to read the tables of a benchmark, in sentences."""

from collections.abc import Iterable

from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.paper import paper_value
from forgefield.platform.benchmarking.results import Results
from forgefield.platform.screen.wording import UNIT, three_digits
from forgefield.trainers.stages.made import Made

PAPERS = (
    "The paper's figures are of MD17@CCSD(T) beside cheap labels and test frames of its own: they "
    "say where one should be, and are no test of these files."
)
UNLIKE = "Errors by distance are in results.json alone: the rows have other bins."
HARDLY = 0.5
"""Of the error of predicting nothing; a row above it says nothing about its way of training."""
UNTRAINED = (Kind.SGDML, Kind.UNTUNED)
"""What longer training doesn't change: sGDML is solved, and without fine-tuning the cheap method's
own error stays."""
Edges = tuple[tuple[float, float], ...]


def notes_of(results: Results) -> list[str]:
    """All of them."""
    papers = [PAPERS] if _beside_paper(results) else []
    unlike = [UNLIKE] if len(bins_of(results)) > 1 else []
    scale, elsewhere = _beside_no_force(results), _made_elsewhere(results)
    return [*results.notes, *scale, *_left_out(results), *elsewhere, *unlike, *papers]


def bins_of(results: Results) -> set[Edges]:
    """The bins of distance that there are: one set of them, where all rows have the same."""
    bins = [row.score.by_distance for row in results.rows if row.score.by_distance]
    return {tuple((part.nearest, part.farthest) for part in some) for some in bins}


def _beside_paper(results: Results) -> bool:
    asked = results.name, results.budget, results.model
    return any(paper_value(*asked, row.row) is not None for row in results.rows)


def _beside_no_force(results: Results) -> list[str]:
    """What errors are to be seen beside, and the rows whose training was too short to tell."""
    if results.no_force is None:
        return []
    said = [f"Predicting no force at all errs by {three_digits(results.no_force)} {UNIT}."]
    trained = [row for row in results.rows if row.row not in UNTRAINED]
    hardly = [row for row in trained if row.score.force_mae > HARDLY * results.no_force]
    if hardly:
        said.append(
            "Hardly trained, with more than half of that: "
            f"{_listed(map(results.name_of, hardly))}. A larger --effort, or more --hours, trains "
            "longer."
        )
    return said


def _left_out(results: Results) -> list[str]:
    """A sentence for each reason."""
    names: dict[str, list[str]] = {}
    for left in results.left_out:
        names.setdefault(left.reason.rstrip("."), []).append(left.name)
    return [
        f"{'; '.join(rows)} {'is' if len(rows) == 1 else 'are'} left out: {reason}."
        for reason, rows in names.items()
    ]


def _made_elsewhere(results: Results) -> list[str]:
    """A sentence for each other device or set of versions than this call's."""
    rows: dict[str, list[str]] = {}
    for row in results.rows:
        for words in dict.fromkeys(_otherwise(results, made) for made in row.made):
            rows.setdefault(words, []).append(results.name_of(row))
    return [
        f"Trained {words}, and so are the seconds: {_listed(names)}."
        for words, names in rows.items()
        if words
    ]


def _otherwise(results: Results, made: Made | None) -> str:
    """What is other than here; empty where nothing is."""
    if made is None:
        return "by a version that didn't note where"
    here = results.origin
    other = [
        f"{name} {was}" for name, was in made.versions.items() if was != here.versions.get(name)
    ]
    device = "" if made.device == here.device else f"on {made.device}"
    versions = f"with {' and '.join(other)}" if other else ""
    return ", ".join(word for word in (device, versions) if word)


def _listed(names: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(names))
