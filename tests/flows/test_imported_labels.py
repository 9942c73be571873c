"""Labels of others before there is a plan: imported, counted in quote and plan, and never paid."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from spring_campaign import Quiet

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.sampling import sample
from forgefield.platform.campaign import driving, quote
from forgefield.platform.data_sets.importing import import_file
from forgefield.platform.foreign_labels.judging import Question
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.recipe import Recipe, load_recipe
from forgefield.platform.planning.request import Request
from forgefield.platform.pools.pool import load_pool, save_pool
from forgefield.platform.pools.sampled import sample_pool
from forgefield.platform.pools.sizes import offered, pool_size
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.showing.plan_screen import show_plan
from forgefield.platform.status import status_of
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier

CCSD = "CCSD(T)/STO-3G, frozen core"
IMPORTED, POOL = 25, 35
FORMALDEHYDE = find_molecule("formaldehyde")
SETTINGS = {
    "methods": {"dft": "PBE/STO-3G, grid 1", "ccsd": CCSD},
    "sampling": {"frames": POOL, "conformers": 1},
    "labels": {"batch_core_seconds": 0.3, "largest_batch": 50, "threads": 2},
    "allocation": {"cheap_labels": 20, "most_target": 12, "middle_per_target": 0.2},
}


@pytest.fixture
def recipe() -> Recipe:
    """Few labels, small trainings."""
    training = load_recipe(Path(__file__).with_name("small.toml")).training
    return Recipe.model_validate({**SETTINGS, "training": training.model_dump()})


def labelled_by_others(path: Path) -> Path:
    """Geometries of another seed than the run's, with energies and forces."""
    settings = Recipe.model_validate(SETTINGS).sampling.model_copy(
        update={"seed": 5, "frames": IMPORTED}
    )
    positions_FA3 = sample(FORMALDEHYDE, settings).positions_FA3
    labeler = labeler_for(CCSD)
    labeler.prepare(FORMALDEHYDE)
    found = [labeler.compute(FORMALDEHYDE.at(shape), 1) for shape in positions_FA3]
    numbers = np.array(FORMALDEHYDE.numbers)
    energies = np.array([each.energy for each in found])
    forces = np.array([each.forces_A3 for each in found])
    np.savez(path, z=numbers, R=positions_FA3, E=energies, F=forces)
    return path


def test_import_then_plan_then_label(recipe: Recipe, tmp_path: Path) -> None:
    """They are worth something; and the pool of a smaller plan, that came to nothing, grows."""
    folder = RunFolder.at(tmp_path / "runs/run")
    file = labelled_by_others(tmp_path / "ccsd.npz")
    import_file(Question(file, Stated(method=CCSD, energy_unit="eV")), folder, Quiet())
    save_pool(sample_pool(FORMALDEHYDE, recipe.sampling, lambda *_: None)[0], folder.pool)
    request = Request(FORMALDEHYDE, parse_budget("1cpuh"), recipe, folder)
    with driving(request, None, Quiet()) as campaign:
        plan = campaign.calibrate(request)
        pool = load_pool(FORMALDEHYDE, folder.pool)
        assert len(pool) >= pool_size(plan) > POOL
        assert plan.labels(Tier.CCSD, Purpose.TRAIN) <= offered(pool, plan, Tier.CCSD)
        assert plan.imported == dict.fromkeys(Tier, 0) | {Tier.CCSD: IMPORTED}
        assert plan.forecast is not None
        assert plan.forecast_without_imports is not None
        assert plan.forecast.median < plan.forecast_without_imports.median
        campaign.label(plan)
    own = load_frames(folder.frames, tuple(Purpose)).of_tier(Tier.CCSD)
    assert sum(own.cost_F == 0) == IMPORTED
    assert len(own) == plan.tier(Tier.CCSD).total + IMPORTED
    assert status_of(folder).tiers[-1].planned == plan.tier(Tier.CCSD).total + IMPORTED
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.verify(folder.frames) == []


def test_a_quote_says_what_imported_labels_are_worth(tmp_path: Path, recipe: Recipe) -> None:
    folder = RunFolder.at(tmp_path / "run")
    request = Request(FORMALDEHYDE, parse_budget("20ccsd"), recipe, folder, target=0.3)
    file = labelled_by_others(tmp_path / "ccsd.npz")
    before = quote(request)
    import_file(Question(file, Stated(method=CCSD, energy_unit="eV")), folder, Quiet())
    after = quote(request)
    assert after.imported == dict.fromkeys(Tier, 0) | {Tier.CCSD: IMPORTED}
    assert before.target is not None
    assert after.target is not None
    assert before.target.chance < after.target.chance
    assert before.forecast_without_imports is None
    assert after.forecast_without_imports == before.forecast
    console = Console(width=110, record=True, file=io.StringIO())
    show_plan(console, after)
    said = " ".join(console.export_text().replace("│", " ").split())
    assert f"{IMPORTED} ccsd labels to train on, at no cost; without them" in said
