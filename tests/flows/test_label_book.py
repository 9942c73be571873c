"""Runs that share a label book: what the first has bought, the second takes, and buys the rest."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.campaign import driving
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.recipe import Recipe, load_recipe
from forgefield.platform.planning.request import Request
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.status import status_of
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier

SMALL = Path(__file__).with_name("small.toml")
Buyer = Callable[[str, int], tuple[Plan, RunFolder]]
AMPLE = parse_budget("200ccsd")
"""More than the most labels of a run cost, whatever a busy machine makes of their prices."""


class Silent(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Remember a line."""
        self.said.append(text)


def recipe_without_patience(most_target: int) -> Recipe:
    """One slot, few cheap labels, DFT to learn from, labels kept that cost next to nothing."""
    recipe = load_recipe(SMALL)
    (first, *_) = recipe.training.pretrain
    learnt = first.model_copy(update={"tiers": (Tier.XTB, Tier.DFT)})
    return recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"pretrain": (learnt,)}),
            "labels": recipe.labels.model_copy(update={"book_least": 0.01, "threads": 2}),
            "allocation": recipe.allocation.model_copy(
                update={
                    "cheap_labels": 30,
                    "most_target": most_target,
                    "least_cost_ratio": 0.1,
                    "fewest_holdout": 2,
                }
            ),
        }
    )


@pytest.fixture
def bought(tmp_path: Path) -> Buyer:
    """Calibrates and labels in a folder, as many as the recipe allows, and audits it."""

    def buy(name: str, most_target: int) -> tuple[Plan, RunFolder]:
        folder = RunFolder.at(tmp_path / "runs" / name)
        water = find_molecule("water")
        request = Request(water, AMPLE, recipe_without_patience(most_target), folder)
        with driving(request, None, Silent()) as campaign:
            plan = campaign.calibrate(request)
            campaign.label(plan)
        with Ledger(folder.ledger_url, read_only=True) as ledger:
            assert ledger.verify(folder.frames) == []
        return plan, folder

    return buy


def frames_of(folder: RunFolder, tier: Tier) -> Frames:
    return load_frames(folder.frames, tuple(Purpose)).of_tier(tier)


def test_a_larger_run_in_another_folder_pays_for_nothing_twice(bought: Buyer) -> None:
    _, first = bought("first", 12)
    plan, second = bought("second", 16)
    for tier in (Tier.DFT, Tier.CCSD):
        ours, theirs = frames_of(second, tier), frames_of(first, tier)
        paid = Counter(
            key.tobytes() for frames in (ours, theirs) for key in frames.key_F[frames.cost_F > 0]
        )
        assert max(paid.values()) == 1, "no geometry is paid in both runs"
        known = {key.tobytes(): at for at, key in enumerate(theirs.key_F)}
        free = np.flatnonzero(ours.cost_F == 0)
        assert len(free) == len(theirs) < len(ours), "all that the first run has is used"
        for at in free:
            same = known[ours.key_F[at].tobytes()]
            assert ours.energy_F[at] == theirs.energy_F[same]
            np.testing.assert_array_equal(
                ours.forces_A3[ours.atoms_of(int(at))], theirs.forces_A3[theirs.atoms_of(same)]
            )
            assert ours.wall_F[at] == theirs.wall_F[same], "provenance of the original"
        assert len(ours) >= plan.tier(tier).total
    status = status_of(second)
    assert status.found >= len(frames_of(first, Tier.CCSD))
    assert status.saved == pytest.approx(
        sum(frames_of(first, t).cost_F.sum() for t in (Tier.DFT, Tier.CCSD)), rel=0.2
    )
    assert plan.calibrated
    assert status.spent <= status.cap
