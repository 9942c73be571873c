"""Where there are no rounds, quote and run say that nothing ends the labels early."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from spring_campaign import Quiet, make_campaign, recipe_with

from forgefield.platform import campaign
from forgefield.platform.planning.at_once import at_once_words
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.ledger.entries import Balance

EAGER = Recipe.model_validate({"stopping": {"least_gain": 0.0, "least_regret": 0.0}})


def test_what_stops_nothing_is_named_with_the_reason() -> None:
    both = at_once_words(Recipe(), 9, 0.3)
    assert "reaching 0.3 kcal/mol/Å or too small a gain can't end it early" in both
    assert "9 ccsd labels to train on are too few for rounds (rounds.fewest = 16)" in both
    assert "reaching" not in at_once_words(Recipe(), 9, None)
    assert "gain" not in at_once_words(EAGER, 9, 0.3)
    never = Recipe.model_validate({"rounds": {"most_rounds": 1}})
    assert "rounds.most_rounds = 1" in at_once_words(never, 90, None)


def test_nothing_is_said_where_there_are_rounds_or_nothing_was_to_stop() -> None:
    assert not at_once_words(Recipe(), 16, 0.3)
    assert not at_once_words(EAGER, 9, None)


def test_quote_and_run_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan, pool = make_campaign(tmp_path, "20ccsd", recipe_with(), target=0.3)
    (said,) = (each for each in plan.warnings if "can't end it early" in each)
    reporter, bought = Quiet(), list[int]()
    ledger = SimpleNamespace(balance=lambda: Balance(plan.cap_micro, 0, 0), tally=list)
    phase: Any = SimpleNamespace(
        buy=lambda orders: bought.append(len(orders)), known_keys=lambda _: (), ledger=ledger
    )
    monkeypatch.setattr(campaign, "spent_words", lambda *_: "all is spent")
    made = campaign.Campaign(RunFolder.at(folder.root), Machine(1, 2, 10**10), reporter)
    assert made._at_once(plan, pool, phase) == "all is spent"
    assert reporter.said == [said]
    assert bought
    larger = make_campaign(tmp_path / "more", "80ccsd", recipe_with(), target=0.3)[1]
    assert not any("can't end it early" in each for each in larger.warnings)
