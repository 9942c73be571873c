"""The commands of the benchmarks: what is refused, what is left out, what is printed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spring_files as springs
from spring_benchmark import TERMS, bench
from spring_files import Ears, Listener
from typer.testing import CliRunner

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid import benchmark
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid.chains import trainings
from forgefield.platform.benchmarking.asteroid.terms import Terms
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.preparing import prepare
from forgefield.platform.benchmarking.publishing.tables import markdown
from forgefield.platform.benchmarking.results import Results
from forgefield.platform.cli import app
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.units import EV_PER_KJ_PER_MOL
from forgefield.trainers.baselines import sgdml


class Unread(Listener):
    """Fails where files begin to be read."""

    def say(self, text: str) -> None:
        """The first words are of reading."""
        pytest.fail(text)


def no_memory(*_: Frames) -> sgdml.SGDML:
    raise InputError("sGDML needs 9.9 GiB")


def test_rows_that_cannot_be_had_say_why(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpaired cheap frames leave Δ-learning out, too small a memory sGDML."""
    cheap = springs.write(tmp_path / "low.npz", springs.distortions(60, 2), springs.CHEAP)
    monkeypatch.setattr(sgdml, "fit", no_memory)
    terms = replace(TERMS, kinds=(Kind.DELTA, Kind.SGDML))
    changed = replace(asked, cheap=cheap, out=tmp_path / "out")
    found = benchmark_asteroid(changed, terms, Listener())
    assert found.rows == ()
    reasons = {left.row: left.reason for left in found.left_out}
    assert "0 of 22 training and validation frames" in reasons[Kind.DELTA]
    assert "GiB" in reasons[Kind.SGDML]
    assert "Δ-learning is left out: it needs cheap labels" in markdown(found)
    assert not (tmp_path / "out/stages").exists()


def test_score_matching_is_had_where_the_temperature_is_said(asked: Asked) -> None:
    unsaid = bench(asked, replace(TERMS, temperature=None))
    assert not unsaid.wants(Kind.SCORES)
    assert [left.row for left in unsaid.left_out] == [Kind.SCORES]
    assert "--temperature" in unsaid.left_out[0].reason
    assert not any(kind == Kind.SCORES for kind, _ in trainings(unsaid))
    with pytest.raises(InputError, match=r"No row can be had.*--temperature"):
        bench(asked, Terms(budget=20, kinds=(Kind.SCORES,), ratios=(10.0,)))


def run(arguments: Sequence[str | Path]) -> Any:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget-ccsd", "79"], "79 frames to train on"),
        (
            ["--budget-ccsd", "20", "--cost-ratio", "25", "--rows", "full,unweighted"],
            "100 cheap frames are needed; 88 are at hand",
        ),
        (["--budget-ccsd", "20", "--cost-ratio", "a,b"], "are no numbers"),
        (["--budget-ccsd", "20", "--cost-ratio", "-1"], "above 0"),
        *[(["--cost-ratio", word], "above 0") for word in ("nan", "20,inf", "0")],
        *[(["--c", word], "above 0") for word in ("nan", "inf", "1,-inf")],
        *[(["--effort", word], "above 0") for word in ("nan", "inf", "0")],
        (["--budget-ccsd", "20", "--cost-ratio", "0.1"], "0.1 buys no cheap label"),
        (["--budget-ccsd", "20", "--temperature", "inf"], "temperature"),
        (["--model", "resnet"], "is no model"),
        (["--seeds", "2000"], "2000 seeds were asked for; 1 to 1000"),
        (["--rows", "best"], "is no row"),
        (["--rows", "scores,comittee"], "Choose from standard, untuned, unweighted, committee"),
        (["--device", "abacus"], "is no device"),
        (["--dft", "absent.npz"], "There is no file"),
        (["--unit", "calories"], "is no unit of energy"),
        (["--recipe", "absent.toml"], "Can't read the recipe"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    asked: Asked, tmp_path: Path, more: list[str], words: str
) -> None:
    words_of = ["--ccsd", asked.accurate, "--dft", asked.cheap, "--model", "egnn"]
    out = tmp_path / "out"
    done = run(["asteroid", *words_of, "--out", out, "--parallel", "1", *more])
    assert isinstance(done.exception, InputError), done.output
    assert words in str(done.exception)
    assert not out.exists()


def test_the_command_prints_json_or_a_table(asked: Asked, results: Results) -> None:
    words = ["asteroid", "--ccsd", asked.accurate, "--dft", asked.cheap, "--out", asked.out]
    words += ["--recipe", asked.recipe or "", "--model", "egnn", "--seeds", "2", "--parallel", "1"]
    words += ["--budget-ccsd", "20", "--cost-ratio", "10", "--c", "0.5,2", "--device", "cpu"]
    words += ["--rows", "standard,untuned,unweighted,committee,full,scores,delta,sgdml"]
    words += ["--temperature", "500"]
    done = run([*words, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [row["score"]["force_mae"] for row in said["rows"]] == [
        row.score.force_mae for row in results.rows
    ]
    shown = run(words)
    assert shown.exit_code == 0
    assert "without weights" in shown.stdout
    assert str(asked.out / "time.png") in shown.stdout


@pytest.mark.parametrize(("sizes", "words"), [("25.5", "whole numbers"), ("nan", "above 0")])
def test_sizes_of_a_curve_are_whole_numbers(asked: Asked, sizes: str, words: str) -> None:
    done = run(["curve", "--high", asked.accurate, "--low", asked.cheap, "--sizes", sizes])
    assert isinstance(done.exception, InputError)
    assert words in str(done.exception)


def test_terms_and_efforts_are_checked_without_the_command_too(asked: Asked) -> None:
    with pytest.raises(InputError, match="Cost ratios"):
        bench(asked, replace(TERMS, ratios=(np.nan,)))
    with pytest.raises(InputError, match="2 members or more"):
        bench(asked, replace(TERMS, members=1))
    with pytest.raises(InputError, match="temperature"):
        bench(asked, replace(TERMS, temperature=np.nan))
    with pytest.raises(InputError, match="Efforts"):
        bench(replace(asked, efforts=(np.nan,)))
    with pytest.raises(InputError, match="-1 stages at a time"):
        bench(replace(asked, parallel=-1))


def test_a_recipe_for_another_model_is_refused(asked: Asked) -> None:
    """The recipe of these tests says `kind = "egnn"`."""
    with pytest.raises(InputError, match="is for the model egnn, and --model is nequip"):
        bench(replace(asked, model="nequip"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[finetune]\nrtae = 1", r"what there isn't: rtae in \[finetune\]"),
        ("[tune]\nrate = 1", r"what there isn't: table \[tune\]"),
        ("[finetune]\nrate = -1", r"finetune.rate = -1: must be above 0"),
    ],
)
def test_a_recipe_that_is_wrong_hears_what_it_may_have(
    asked: Asked, tmp_path: Path, text: str, words: str
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    permitted = r"\[model\] with .*channels.*\[standard\], \[pretrain\], \[finetune\].* steps"
    with pytest.raises(InputError, match=f"{words}.*{permitted}"):
        bench(replace(asked, recipe=recipe))


def test_a_cheap_file_in_another_unit_is_flagged_and_taken(asked: Asked, tmp_path: Path) -> None:
    positions = springs.distortions(60, 2)
    cheap = springs.write(
        tmp_path / "kj.npz", positions, springs.CHEAP, scale=1 / EV_PER_KJ_PER_MOL
    )
    with pytest.raises(InputError, match=r"kj.npz may be in kJ/mol.*--dft-unit"):
        bench(replace(asked, cheap=cheap))
    right = bench(replace(asked, cheap=cheap, cheap_unit="kJ/mol")).prepared
    assert (right.accurate.unit, right.cheap.unit) == ("kcal/mol", "kJ/mol")
    wanted = springs.labels(positions, springs.CHEAP)[1]
    np.testing.assert_allclose(right.cheap.forces_NA3, wanted, rtol=1e-9)
    assert bench(replace(asked, cheap=cheap, trust=True)).prepared.cheap.unit == "kcal/mol"
    words = ["asteroid", "--ccsd", asked.accurate, "--dft", cheap, "--dft-unit", "calories"]
    assert "is no unit of energy" in str(run(words).exception)


def test_swapped_files_are_asked_about(asked: Asked, tmp_path: Path) -> None:
    right, swapped = Ears(), Ears()
    many = springs.write(tmp_path / "many.npz", springs.distortions(550, 3), springs.CHEAP)
    few = springs.write(tmp_path / "few.npz", springs.distortions(50, 4), springs.ACCURATE)
    prepare(replace(asked, accurate=many, cheap=few), 20, swapped)
    assert any("files swapped" in words and "550" in words for words in swapped.said)
    prepare(replace(asked, accurate=few, cheap=many), 20, right)
    assert not any("files swapped" in words for words in right.said)


def test_a_missing_file_is_named_before_any_is_read(asked: Asked) -> None:
    gone = asked.cheap.with_name("gone.npz")
    for changed in (replace(asked, cheap=gone), replace(asked, test=gone)):
        with pytest.raises(InputError, match=r"no file .*gone\.npz"):
            prepare(changed, 20, Unread())


def test_isomers_are_two_molecules(asked: Asked, tmp_path: Path) -> None:
    """Formaldehyde and hydroxymethylene: H₂C=O and H–C–O–H."""
    positions = springs.distortions(60, 2)
    positions[:, 3] += np.array([0.94, 0.0, 0.54 + 1.9])
    cheap = springs.write(tmp_path / "isomer.npz", positions, springs.CHEAP)
    labels = {"E": np.zeros(60), "F": springs.labels(springs.distortions(60, 2), 300.0)[1]}
    springs.write(cheap, positions, springs.CHEAP, **labels)
    with pytest.raises(InputError, match=r"1×C\(HHO\).* in the first, .*1×C\(HO\).*1×O\(CH\)"):
        bench(replace(asked, cheap=cheap))


def test_folders_are_named_by_both_files(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    taken: list[Path] = []

    def stop(asked: Asked, *_: object) -> Results:
        taken.append(asked.out)
        raise InputError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "benchmark_asteroid", stop)
    run(["asteroid", "--ccsd", asked.accurate, "--dft", asked.cheap, "--model", "egnn"])
    assert taken == [Path("benchmarks/asteroid-high-low-egnn")]
