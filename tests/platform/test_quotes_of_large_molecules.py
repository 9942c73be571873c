"""Quotes of molecules whose labels take all cores of a node, from labels of one thread each."""

import io
import math
import platform
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.cli import app
from forgefield.platform.planning.cost_records import Seen, cost_records
from forgefield.platform.planning.cost_store import remember_costs
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.quoting import GENERAL, estimated_costs, general_estimates
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.showing.plan_screen import show_plan
from forgefield.storage.records import Molecule, Tier

CLUSTER = Machine(nodes=1, cores=64, memory_bytes=500 * 10**9)
PEPTIDE = "CC(=O)" + 4 * "NCC(=O)" + "NC"
"""Four glycines between caps: 40 atoms, 400 GB a CCSD(T) label."""
SPEED = 0.5
"""What labels take here over what the formulas say."""


@pytest.fixture(autouse=True)
def _a_large_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for place in ("campaign", "planning.quoting", "planning.machine"):
        monkeypatch.setattr(f"forgefield.platform.{place}.this_machine", lambda: CLUSTER)


def calibrate(molecule: Molecule, speed: float, threads: int = 1) -> None:
    """Two labels a tier, as a campaign remembers them."""
    recipe, seen = Recipe(), []
    for tier, guess in general_estimates(molecule, recipe, threads).items():
        version = recipe.labeler(tier).version
        for factor in (0.97, 1.03):
            cost = speed * factor * guess.core_seconds
            seen.append(Seen(tier, platform.node(), threads, cost, version))
    assert remember_costs(cost_records(molecule, recipe, seen)) == ""


def quoted(molecule: str) -> Plan:
    words = ["plan", "-m", molecule, "-b", "250ccsd", "--no-calibrate"]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    return load_plan("plan.json")


def width(cost: TierCost) -> float:
    """Deviation of ln cost, in halves of the 90 % range."""
    return math.log(cost.high / cost.core_seconds)


@pytest.mark.parametrize(("name", "atoms"), [("aspirin", 21), (PEPTIDE, 40)])
def test_a_large_molecule_is_quoted_from_what_small_ones_cost_here(name: str, atoms: int) -> None:
    molecule = find_molecule(name)
    assert len(molecule.numbers) == atoms
    general = estimated_costs(molecule, Recipe())
    for small in ("water", "methanol", "ethanol"):
        calibrate(find_molecule(small), SPEED)
    ethanol = estimated_costs(find_molecule("ethanol"), Recipe())
    plan = quoted(name)
    assert plan.threads > 1
    assert all(quote.fits for quote in plan.tiers)
    for quote in plan.tiers:
        assert quote.source == "scaled from 6 labels of 3 molecules measured here on other threads"
        cost, guess = quote.to_cost(), general[quote.tier]
        assert 0.45 < cost.core_seconds / guess.core_seconds < 0.75, "half, or on the way to it"
        assert width(ethanol[quote.tier]) < width(cost) < width(guess)
    console = Console(width=110, record=True, file=io.StringIO())
    show_plan(console, plan)
    said = " ".join(console.export_text().replace("│", " ").split())
    assert "on other threads. Nine labels in ten lie within the factor" in said
    assert plan.wall[0].seconds is not None
    assert plan.forecast is not None


def test_the_general_range_is_wider_where_threads_share_a_label() -> None:
    water, peptide = (
        estimated_costs(find_molecule(name), Recipe())[Tier.CCSD] for name in ("water", PEPTIDE)
    )
    assert water.source == peptide.source == GENERAL
    assert width(water) == pytest.approx(math.log(2.5), rel=0.01)
    assert width(water) < width(peptide) < math.log(5)


def test_what_the_molecule_itself_took_on_as_many_threads_goes_first() -> None:
    peptide = find_molecule(PEPTIDE)
    threads = quoted(PEPTIDE).threads
    calibrate(find_molecule("ethanol"), SPEED)
    calibrate(peptide, 1.5, threads=8)
    near = estimated_costs(peptide, Recipe())[Tier.CCSD]
    calibrate(peptide, 2.0, threads=threads)
    own = estimated_costs(peptide, Recipe())[Tier.CCSD]
    guess = general_estimates(peptide, Recipe(), threads)[Tier.CCSD].core_seconds
    assert own.core_seconds == pytest.approx(2 * guess)
    assert own.source == "measured here before (2 labels)"
    assert near.source == "scaled from 4 labels of 2 molecules measured here on other threads"
    assert SPEED * guess < near.core_seconds < own.core_seconds
    assert width(own) < width(near)


def test_labels_that_use_one_thread_are_charged_for_all() -> None:
    """Force fields and GFN2-xTB gain nothing from more."""
    one, many = (general_estimates(find_molecule("aspirin"), Recipe(), n) for n in (1, 16))
    for tier in (Tier.EMPIRICAL, Tier.XTB):
        assert many[tier].core_seconds == pytest.approx(16 * one[tier].core_seconds)
