"""Tables and notes of a benchmark: beside the paper's figures, where those are of the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from spring_benchmark import TERMS, bench, rows_of

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import notes
from forgefield.platform.benchmarking.describing import draw_notes
from forgefield.platform.benchmarking.draws import Draw
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.paper import MOLECULES, name_of
from forgefield.platform.benchmarking.publishing.best import best_row, best_words
from forgefield.platform.benchmarking.publishing.notes import PAPERS, UNLIKE, notes_of
from forgefield.platform.benchmarking.publishing.tables import (
    distances_of,
    grids_of,
    markdown,
    mean_and_spread,
)
from forgefield.platform.benchmarking.publishing.time_plot import against_time
from forgefield.platform.benchmarking.results import LeftOut, Results, Row, spread
from forgefield.platform.benchmarking.wording import in_words
from forgefield.platform.foreign_labels.bonds import bonds_between
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.tasks import StageResult


def test_tables_stand_beside_the_paper(results: Results) -> None:
    ethanol = results.model_copy(update={"name": "ethanol", "model": "egnn", "budget": 250})
    table = {line[0]: line for line in grids_of(ethanol)[0].rows}
    assert list(table) == [kind.value for kind in Kind]
    assert table["standard"][-1] == "0.840 EGNN"
    assert table["ASTEROID"][-1] == "0.176 GemNet"
    assert table["sGDML"][-1] == "0.902"
    values = [row.score.force_mae for row in rows_of(results, Kind.FULL)]
    digits = 3 if np.mean(values) < 10 else 1
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    assert table["ASTEROID"][2] == f"{mean:.{digits}f} ± {deviation:.{digits}f}"
    assert table["ASTEROID"][1] == "16 + 40"
    assert "| sGDML | 20 |" in markdown(results)
    assert "ethanol, budget 250 labels: force MAE in kcal/mol/Å" in grids_of(ethanol)[0].title


@pytest.mark.parametrize("changes", [{"budget": 200}, {"budget": None}, {"name": ""}])
def test_the_paper_has_figures_of_its_own_budget_and_molecules_alone(
    results: Results, changes: dict[str, object]
) -> None:
    ethanol = results.model_copy(
        update={"molecule": "C2H6O", "name": "ethanol", "budget": 250, **changes}
    )
    table = grids_of(ethanol)[0]
    assert not any("paper" in word for word in table.head)
    assert all(len(line) == len(table.head) for line in table.rows)
    assert "0.176" not in markdown(ethanol)


def test_an_effort_has_a_table_where_something_was_trained(results: Results) -> None:
    """The analytic row is of no effort, and stands in every table."""
    rows = [
        r if r.row == Kind.SGDML else r.model_copy(update={"effort": 0.1}) for r in results.rows
    ]
    short = results.model_copy(update={"rows": tuple(rows)})
    grids = grids_of(short)
    assert len(grids) == 2
    assert "effort 0.1" in grids[0].title
    assert [line[0] for line in grids[0].rows] == [kind.value for kind in Kind]
    alone = results.model_copy(update={"rows": tuple(rows_of(results, Kind.SGDML))})
    assert [line[0] for line in grids_of(alone)[0].rows] == ["sGDML"]
    both = results.model_copy(update={"rows": (*results.rows, *rows)})
    assert [grid.title.split(" in ")[0] for grid in distances_of(both)] == [
        "Force MAE, effort 0.1",
        "Force MAE, effort 1",
    ]


def test_the_document_has_intervals_elements_and_distances(results: Results) -> None:
    details = grids_of(results)[1]
    line = dict(zip(details.head, next(r for r in details.rows if r[0] == "ASTEROID"), strict=True))
    scores = [row.score for row in rows_of(results, Kind.FULL)]
    low, high = map(float, line["95 % over frames"].split("–"))
    assert low < np.mean([score.force_mae for score in scores]) < high
    elements = [part.split()[0] for part in line["by element"].split(", ")]
    assert elements == list(scores[0].force_mae_by_element)
    (grid,) = distances_of(results)
    assert [row[0] for row in grid.rows] == [row[0] for row in details.rows]
    for score in scores:
        bins = score.by_distance
        weighed = sum(each.frames * each.force_mae for each in bins) / score.frames
        assert weighed == pytest.approx(score.force_mae)
        assert [each.nearest for each in bins] == sorted(each.nearest for each in bins)
    assert "nearest of the 20 accurate frames drawn to train on" in grid.title
    assert grid.title in markdown(results)


def test_one_seed_tells_no_spread() -> None:
    mean, deviation = spread([0.9, 1.3, 1.0])
    assert (mean, deviation) == pytest.approx(
        (np.mean([0.9, 1.3, 1.0]), np.std([0.9, 1.3, 1.0], ddof=1))
    )
    assert np.isnan(spread([0.9])[1])
    assert mean_and_spread([0.9]) == "0.900"
    assert mean_and_spread([]) == "–"


def test_that_rows_have_other_bins_is_said(results: Results) -> None:
    """As where every seed draws frames of its own."""
    first, *others = results.rows
    moved = tuple(
        part.model_copy(update={"farthest": part.farthest + 1}) for part in first.score.by_distance
    )
    score = first.score.model_copy(update={"by_distance": moved})
    mixed = (first.model_copy(update={"score": score}), *others)
    unlike = results.model_copy(update={"rows": mixed})
    assert distances_of(unlike) == []
    assert UNLIKE in markdown(unlike)
    assert UNLIKE not in markdown(results)


def test_that_the_papers_figures_are_of_other_frames_is_said(results: Results) -> None:
    ethanol = results.model_copy(update={"name": "ethanol", "model": "egnn", "budget": 250})
    assert PAPERS in markdown(ethanol)
    assert PAPERS not in markdown(results)


SMILES = {
    "aspirin": ["CC(=O)Oc1ccccc1C(=O)O"],
    "benzene": ["c1ccccc1"],
    "malonaldehyde": ["O=CCC=O", "O=CC=CO"],
    "toluene": ["Cc1ccccc1"],
    "ethanol": ["CCO", "OCC"],
    "": ["COC", "Cc1cccc(OC(C)=O)c1O", "OC(=O)c1cccc(OC(C)=O)c1", "C1CC(=O)O1"],
}


@pytest.mark.parametrize(("name", "smiles"), [(n, s) for n, many in SMILES.items() for s in many])
def test_the_papers_molecules_are_known_by_their_bonds(name: str, smiles: str) -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    pairs = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    order = np.random.default_rng(1).permutation(len(numbers))
    place = np.argsort(order)
    shuffled = bonds_between(
        [numbers[at] for at in order], [(int(place[i]), int(place[j])) for i, j in pairs]
    )
    assert shuffled.pattern == bonds_between(numbers, pairs).pattern
    assert name_of(shuffled.pattern) == name
    assert set(SMILES) - {""} == set(MOLECULES)


def test_the_best_force_field_is_chosen_by_validation(results: Results) -> None:
    """Not by the test frames, and never one that gives differences alone."""
    whole = [row for row in results.rows if row.row not in {Kind.DELTA, Kind.SGDML}]
    wanted = min(whole, key=lambda row: np.inf if row.validation is None else row.validation)
    for scale in (1.0, 1e6):
        score = wanted.score.model_copy(update={"force_mae": wanted.score.force_mae * scale})
        worse = wanted.model_copy(update={"score": score})
        rows = tuple(worse if row is wanted else row for row in results.rows)
        found = best_row(results.model_copy(update={"rows": rows}))
        assert found is not None
        assert found[1] == wanted.force_field
    words = best_words(results)
    assert f"{wanted.row}, seed {wanted.seed}" in words
    assert words.endswith(str(wanted.force_field))
    assert words in markdown(results)
    assert best_words(results.model_copy(update={"rows": ()})) == ""


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("seed0-ratio40-c1-pretrain", "seed 0, 40:1, c 1: pre-training"),
        ("seed2-effort0.1-ratio2.5-c0.5-finetune", "seed 2, effort 0.1, 2.5:1, c 0.5: fine-tuning"),
        ("seed1-effort1e-05-all-standard", "seed 1, effort 1e-05, all accurate labels: training"),
        ("seed0-ratio20-delta-standard", "seed 0, 20:1, Δ-learning: training"),
        (
            "seed1-effort0.5-member2-ratio40-unweighted-pretrain",
            "seed 1, effort 0.5, member 2, 40:1, without weights: pre-training",
        ),
        ("seed0-25-finetune", "seed 0, 25 labels: fine-tuning"),
        ("stages", "stages"),
    ],
)
def test_stages_are_named_in_words(stage: str, words: str) -> None:
    assert in_words(stage) == words


def test_tables_and_notes_are_of_the_rows_that_are_there(asked: Asked, results: Results) -> None:
    few = replace(TERMS, kinds=(Kind.STANDARD, Kind.FULL), c_grid=(1.0,))
    assert not [note for note in notes(bench(asked, few)) if "Score" in note or "searched" in note]
    assert len(notes(bench(asked))) == 7
    assert {"search", "c"} <= set(grids_of(results)[1].head)
    once = tuple(row.model_copy(update={"tried": {"1": 0.1}}) for row in results.rows)
    assert "search" not in grids_of(results.model_copy(update={"rows": once}))[1].head
    alone = results.model_copy(update={"rows": tuple(rows_of(results, Kind.STANDARD))})
    assert grids_of(alone)[1].head[-1] == "time"


def test_the_papers_line_is_drawn_where_it_is_near(results: Results) -> None:
    """Springs' errors are far above ethanol's 0.176, or moved beside it."""
    ethanol = results.model_copy(update={"name": "ethanol", "budget": 250})
    assert any("0.176,\nbelow this plot" in key for key in keys_of(ethanol))
    rows = tuple(
        row.model_copy(update={"score": row.score.model_copy(update={"force_mae": 0.2})})
        for row in results.rows
    )
    near = keys_of(ethanol.model_copy(update={"rows": rows}))
    assert any(key.endswith("0.176") for key in near)
    assert {"markers: test frames", "no cheap labels"} <= set(near)
    assert "10:1" not in near


def keys_of(results: Results) -> list[str]:
    legend = against_time(results, Path()).axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_rows_that_are_hardly_trained_are_named(asked: Asked, results: Results) -> None:
    """Twelve steps leave most rows no better than nothing; sGDML needs none."""
    test = bench(asked).prepared.accurate.frames(results.draws["0"].test)
    none = float(np.abs(test.forces_A3).mean()) * KCAL_PER_MOL_PER_EV
    assert results.no_force == pytest.approx(none)
    (hardly,) = [note for note in notes_of(results) if note.startswith("Hardly trained")]
    assert "standard, seed 0" in hardly
    assert "sGDML" not in hardly
    assert "without fine-tuning" not in hardly, "its error is that of the cheap method"
    curve = results.model_copy(update={"kind": "curve"})
    assert any("standard, seed 0, 20 labels" in note for note in notes_of(curve))
    solved = results.model_copy(update={"rows": tuple(rows_of(results, Kind.SGDML))})
    assert not any(note.startswith("Hardly") for note in notes_of(solved))
    assert any(f"errs by {none:.1f} kcal/mol/Å" in note for note in notes_of(solved))


def test_numbers_made_elsewhere_are_named(results: Results) -> None:
    """Trained on a GPU by another torch, published by a later call on a processor."""
    assert not any(note.startswith("Trained") for note in notes_of(results))
    first, second, *others = results.rows
    (made,) = first.made
    assert made is not None
    assert (made.device, made.versions) == ("cpu", results.origin.versions)
    there = made.model_copy(
        update={"device": "cuda: NVIDIA H200", "versions": {**made.versions, "torch": "2.0"}}
    )
    rows = (
        first.model_copy(update={"made": (there,)}),
        second.model_copy(update={"made": (made, None)}),
        *others,
    )
    said = notes_of(results.model_copy(update={"rows": rows}))
    name = f"{first.row}, seed {first.seed}"
    assert f"Trained on cuda: NVIDIA H200, with torch 2.0, and so are the seconds: {name}." in said
    assert any("by a version that didn't note where" in note for note in said)
    later = made.model_copy(update={"versions": {**made.versions, "torch": "2.0"}})
    upgraded = (first.model_copy(update={"made": (later,)}), second, *others)
    said = notes_of(results.model_copy(update={"rows": upgraded}))
    assert f"Trained with torch 2.0, and so are the seconds: {name}." in said


def test_stages_of_before_are_read(results: Results) -> None:
    """Their descriptions lack what made them."""
    row = rows_of(results, Kind.STANDARD)[0]
    assert row.force_field is not None
    stored = json.loads((row.force_field / "stage.json").read_text())
    assert stored.pop("made")["threads"] == 1
    assert StageResult.model_validate(stored).made is None
    older = {**row.model_dump(), "made": ()}
    assert Row.model_validate(older).made == ()


def test_the_length_of_all_trainings_is_said(results: Results) -> None:
    said = (
        "At effort 1 standard training has 12 steps at most, pre-training and fine-tuning have 20"
    )
    assert any(note.startswith(said) for note in notes_of(results))


def test_notes_count_all_draws_and_end_with_one_full_stop(results: Results) -> None:
    draws = [
        Draw(seed=seed, train=(0,), validation=(1, 2)[: 2 - seed], test=(3, 4), dropped_test=(5,))
        for seed in (0, 1)
    ]
    assert draw_notes(draws[:1])[0] == "2 test frames, 2 validation frames."
    counts, dropped = draw_notes(draws)
    assert counts == "2 test frames, 1 to 2 validation frames."
    assert "0 frames of validation, 1 of test" in dropped
    left = (LeftOut(row="sGDML", reason="It needs 9 GB. Give it more."),)
    found = notes_of(results.model_copy(update={"left_out": left}))[-1]
    assert found == "sGDML is left out: It needs 9 GB. Give it more."
