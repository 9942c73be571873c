"""Whole campaigns in rounds without Ray: money, order, lending, the end; and killed anywhere."""

import json
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from spring_campaign import PRICES, Campaign, recipe_with, stages_here

from forgefield.platform.choosing.exploring import explore
from forgefield.platform.choosing.picking import Arm
from forgefield.platform.rounds import candidates
from forgefield.platform.rounds.choices import Choice, load_choice
from forgefield.platform.rounds.documents import Course, RoundFolder, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro

BUDGET = "60ccsd"


def audit(folder: RunFolder) -> float:
    """Every invariant of the money holds; core-seconds left."""
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.verify(folder.frames) == []
        balance, tally = ledger.balance(), ledger.tally()
    assert balance.reserved_micro == 0
    paid = sum(row.done * PRICES[row.tier] for row in tally)
    assert from_micro(balance.spent_micro) == pytest.approx(paid), "each label is paid once"
    assert balance.spent_micro <= balance.cap_micro
    return from_micro(balance.left_micro)


def choices(folder: RunFolder) -> list[Choice]:
    found = []
    while (choice := load_choice(RoundFolder.of(folder, len(found)).choice)) is not None:
        found.append(choice)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    campaign = Campaign(tmp_path_factory.mktemp("rounds"), BUDGET, recipe_with(), seconds=0.05)
    campaign.record = campaign.run()  # type: ignore[attr-defined]
    return campaign


def test_the_budget_is_spent_to_the_last_label_in_rounds(finished: Campaign) -> None:
    left = audit(finished.folder)
    assert left < PRICES[Tier.DFT], "not one label of the middle tier fits any more"
    records = ended_rounds(finished.folder)
    assert len(records) >= 2
    assert [record.decision for record in records[:-1]] == [Course.ON] * (len(records) - 1)
    assert records[-1].decision is Course.LAST
    sizes = [record.counts.target for record in records]
    assert sizes == sorted(sizes)
    assert records[1].expected is not None
    assert records[1].expected.low < records[1].expected.high


def test_rounds_explore_where_the_run_was_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[float, ...]] = set()

    def watched(
        fields: Any, molecule: Any, starts: Any, settings: Any, *rest: Any, **more: Any
    ) -> Any:
        seen.add(settings.kelvins)
        return explore(fields, molecule, starts, settings, *rest, **more)

    monkeypatch.setattr(candidates, "explore", watched)
    recipe = recipe_with(sampling={"temperatures": [150.0]})
    Campaign(tmp_path, BUDGET, recipe).run()
    assert seen == {(150.0,)}


def test_both_arms_are_named_and_nothing_judges_that_was_trained_on(finished: Campaign) -> None:
    first, *later = choices(finished.folder)
    assert {each.arm for each in first} == {Arm.RANDOM}
    for record, choice in zip(ended_rounds(finished.folder), later, strict=False):
        for tier, buy in ((Tier.CCSD, record.buy.target), (Tier.DFT, record.buy.middle)):
            arms = [each.arm for each in choice if each.tier is tier]
            assert arms.count(Arm.CHOSEN) <= arms.count(Arm.RANDOM)
            assert (arms.count(Arm.CHOSEN) > 0) == (buy > 0), "beyond those bought ahead"
    wanted = [each.positions_A3.tobytes() for choice in (first, *later) for each in choice]
    frames = load_frames(finished.folder.frames, tuple(Purpose))
    judging = frames.of_purpose(Purpose.HOLDOUT, Purpose.VALIDATION)
    kept = {judging.positions_A3[judging.atoms_of(at)].tobytes() for at in range(len(judging))}
    assert len(kept) == len(judging) > 0
    assert not kept & set(wanted)


def test_labels_go_on_elsewhere_while_a_round_trains(finished: Campaign) -> None:
    bought = [record.bought_ahead for record in ended_rounds(finished.folder)]
    assert any(each.target + each.middle for each in bought)
    assert frozenset({0, 1}) in finished.crew.seen, "all slots label where nothing trains"


def test_training_gets_cores_that_no_label_uses(tmp_path: Path) -> None:
    at_work: list[bool] = []

    @contextmanager
    def watched(folder: Path, cores: int, reporter: object, check: Any) -> Any:
        with stages_here(folder, cores, reporter, check) as run:

            def runner(chains: Any) -> Any:
                at_work.append(1 in campaign.crew.at_work)
                return run(chains)

            assert cores >= 1
            yield runner

    campaign = Campaign(tmp_path, "45ccsd", recipe_with(), seconds=0.05, stages=watched)
    campaign.run()
    assert at_work
    assert not any(at_work)


def test_what_a_reached_target_leaves_is_returned(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, BUDGET, recipe_with(), target=1000.0)
    record = campaign.run()
    assert record.decision is Course.STOP
    assert "1000 kcal/mol/Å or less" in record.why
    assert "returned" in record.why
    assert audit(campaign.folder) > 0.3 * campaign.plan.cap
    assert len(ended_rounds(campaign.folder)) == 1
    assert load_choice(RoundFolder.of(campaign.folder, 1).ahead) == (), "it was likely before"


def test_the_recipes_most_target_labels_hold_in_the_end_too(tmp_path: Path) -> None:
    recipe = recipe_with(allocation={"most_target": 30}, rounds={"most_rounds": 1})
    campaign = Campaign(tmp_path, BUDGET, recipe)
    campaign.run()
    assert len(load_frames(campaign.folder.frames, tuple(Purpose)).of_tier(Tier.CCSD)) == 30
    audit(campaign.folder)


def test_a_training_that_fails_ends_the_run_and_keeps_what_is_bought(tmp_path: Path) -> None:
    @contextmanager
    def diverging(*_: Any) -> Any:
        def runner(_chains: Any) -> Any:
            raise TrainingDiverged("no number any more")

        yield runner

    campaign = Campaign(tmp_path, BUDGET, recipe_with(), stages=diverging)
    with pytest.raises(TrainingDiverged):
        campaign.run()
    audit(campaign.folder)
    assert RoundFolder.of(campaign.folder, 0).frames.exists()
    assert not ended_rounds(campaign.folder)


def test_ended_rounds_are_found_again(finished: Campaign) -> None:
    before = [load.read_bytes() for load in sorted(finished.root.glob("rounds/*/*.npz"))]
    again = Campaign(finished.root, BUDGET, finished.recipe)
    assert again.run() == finished.record  # type: ignore[attr-defined]
    assert not again.crew.seen, "nothing is bought or computed again"
    after = [load.read_bytes() for load in sorted(finished.root.glob("rounds/*/*.npz"))]
    assert after == before
    audit(finished.folder)


def lives(root: Path, calls: int) -> int:
    """One life in a process of its own, which is killed at its `calls`-th call to the ledger."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            left = iter(range(calls, -1, -1))

            def told(_: str) -> None:
                if next(left, 1) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            Campaign(root, "45ccsd", recipe_with(), told=told).run()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_and_never_chooses_again(tmp_path: Path) -> None:
    seen: dict[str, bytes] = {}
    codes, calls, end = [], 30, time.monotonic() + 900
    while not codes or codes[-1] != 0:
        assert time.monotonic() < end
        codes.append(lives(tmp_path, calls))
        assert codes[-1] in {0, -signal.SIGKILL}
        calls += 23
        kept = [*tmp_path.glob("rounds/*/*.npz"), *tmp_path.glob("rounds/*/round.json")]
        for path in kept:
            name = str(path.relative_to(tmp_path))
            assert seen.setdefault(name, path.read_bytes()) == path.read_bytes(), name
    assert codes.count(-signal.SIGKILL) >= 3
    folder = RunFolder.at(tmp_path)
    audit(folder)
    assert all(json.loads(text) for name, text in seen.items() if name.endswith(".json"))
    frames = load_frames(folder.frames, tuple(Purpose))
    assert len({key.tobytes() for key in frames.key_F}) == len(frames)
