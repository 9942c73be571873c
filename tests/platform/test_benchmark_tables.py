"""Tables and notes of a benchmark: beside the paper's figures, where those are of the same."""

import numpy as np
import pytest
from rdkit import Chem
from spring_benchmark import rows_of

from forgefield.platform.benchmarking.asteroid_terms import Kind
from forgefield.platform.benchmarking.bonds import bonds_between
from forgefield.platform.benchmarking.draws import Draw
from forgefield.platform.benchmarking.paper import MOLECULES, name_of
from forgefield.platform.benchmarking.preparing import draw_notes
from forgefield.platform.benchmarking.results import LeftOut, Results
from forgefield.platform.benchmarking.tables import grids_of, markdown, notes_of


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
    assert "ethanol, budget 250 labels: force MAE" in grids_of(ethanol)[0].title


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
