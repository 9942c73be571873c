"""Δ-learning between models: what a base leaves of the labels is learnt, and it is added back."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.finished import task_key
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageResult, StageTask

MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]
OWN = {"molecules": ("springs",)}
FEW = {"fit": {"steps": 3, "evaluate_every": 3}, **OWN}


@pytest.fixture(scope="module")
def base(make_task: MakeTask) -> StageResult:
    return run_stage(make_task("base", Tier.DFT, target=Tier.DFT, fit={"steps": 200}, **OWN))


@pytest.fixture
def unseen(make_frames: MakeFrames) -> Frames:
    return from_stored(make_frames(Tier.CCSD, 20, 77))


def test_the_result_is_base_plus_correction_and_better_than_either_alone(
    base: StageResult, unseen: Frames, make_task: MakeTask
) -> None:
    fit = {"steps": 100, "batch": 4, "rate": 2e-3}
    delta = run_stage(make_task("delta", Tier.CCSD, base=base.output, fit=fit, **OWN))
    alone = run_stage(make_task("alone", Tier.CCSD, fit=fit, **OWN))
    errors = {
        result.name: np.abs(ForceField.load(result.output).predict(unseen)[1] - unseen.forces_A3)
        for result in (base, delta, alone)
    }
    means = {name: float(error.mean()) for name, error in errors.items()}
    assert means["delta"] < 0.8 * means["base"] < means["alone"]
    whole = ForceField.load(delta.output)
    assert whole.base is not None
    assert whole.metadata.base == whole.base.metadata.method == "springs dft"
    correction = ForceField(whole.network, whole.metadata)
    parts = [part.predict(unseen) for part in (correction, whole.base)]
    for place, found in enumerate(whole.predict(unseen)):
        np.testing.assert_allclose(found, parts[0][place] + parts[1][place], atol=1e-12)
    assert np.abs(whole.predict(unseen)[0] - unseen.energy_F).mean() < 0.05


def test_forces_are_still_the_slope_of_the_energy(
    base: StageResult, unseen: Frames, make_task: MakeTask
) -> None:
    delta = ForceField.load(run_stage(make_task("d", Tier.CCSD, base=base.output, **FEW)).output)
    assert delta.base is not None
    delta.network.double()
    delta.base.network.double()
    one, step = unseen.select(np.array([3])), 1e-4
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        ends = []
        for sign in (1, -1):
            moved = one.select(np.array([0]))
            moved.positions_A3[atom, axis] += sign * step
            ends.append(delta.predict(moved)[0][0])
        slope = (ends[0] - ends[1]) / (2 * step)
        assert delta.predict(one)[1][atom, axis] == pytest.approx(-slope, rel=1e-5)


def test_the_calculator_adds_the_base_and_asks_the_head(
    base: StageResult, unseen: Frames, make_task: MakeTask
) -> None:
    heads = {"heads": ("xtb", "ccsd"), "base": base.output}
    delta = run_stage(make_task("delta", Tier.XTB, Tier.CCSD, **heads, **FEW))
    energy_F, forces_A3 = ForceField.load(delta.output).predict(unseen)
    atoms = Atoms(unseen.numbers[:4], unseen.positions_A3[:4])
    atoms.calc = ForgefieldCalculator(delta.output)
    assert atoms.get_potential_energy() == pytest.approx(energy_F[0], abs=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), forces_A3[:4], atol=1e-4)


def test_the_folder_needs_nothing_else(
    base: StageResult, unseen: Frames, make_task: MakeTask
) -> None:
    copy = shutil.copytree(base.output, base.output.with_name("copy"))
    delta = run_stage(make_task("delta", Tier.CCSD, base=copy, **FEW))
    before = ForceField.load(delta.output).predict(unseen)
    shutil.rmtree(copy)
    moved = delta.output.rename(delta.output.with_name("elsewhere"))
    found = ForceField.load(moved)
    np.testing.assert_array_equal(found.predict(unseen)[1], before[1])
    found.save(moved)
    np.testing.assert_array_equal(ForceField.load(moved).predict(unseen)[1], before[1])
    tuned = run_stage(make_task("tuned", Tier.CCSD, start=moved, **FEW))
    assert ForceField.load(tuned.output).metadata.base == "springs dft"


def test_another_base_is_another_task(base: StageResult, make_task: MakeTask) -> None:
    other = run_stage(make_task("other", Tier.XTB, target=Tier.XTB, **FEW))
    tasks = [make_task("d", Tier.CCSD, base=base.output, **FEW) for base in (base, other)]
    assert len({task_key(task) for task in [*tasks, make_task("d", Tier.CCSD, **FEW)]}) == 3


def test_what_another_program_made_is_known_by_its_files(
    base: StageResult, make_task: MakeTask, tmp_path: Path
) -> None:
    """Not by its place: other weights in the same folder, or under it, are another start."""
    stored = ForceField.load(base.output)
    corrected = replace(
        stored, metadata=stored.metadata.model_copy(update={"base": "b"}), base=stored
    )
    corrected.save(tmp_path / "a")
    task = make_task("tuned", Tier.CCSD, start=tmp_path / "a", **FEW)
    before = task_key(task)
    assert run_stage(task).key == before
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert task_key(task.model_copy(update={"start": tmp_path / "b"})) == before
    assert run_stage(task).reused
    for network in (corrected.base.network, corrected.network):
        with torch.no_grad():
            next(network.parameters()).add_(0.1)
        corrected.save(tmp_path / "a")
        assert task_key(task) != before
        before = task_key(task)
    assert not run_stage(task).reused
    assert task_key(task.model_copy(update={"start": tmp_path / "gone"})) != before


def test_scores_and_a_base_do_not_go_together(base: StageResult, make_task: MakeTask) -> None:
    phase = {"objective": "scores", "temperature": 300.0}
    with pytest.raises(InputError, match="leave out the base"):
        run_stage(make_task("bad", Tier.DFT, base=base.output, phase=phase, **FEW))
