"""Money and labels at a round's end, the top-up, and the words for why labels ended."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from spring_campaign import make_campaign, recipe_with

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.interrupts import Interrupted
from forgefield.platform.results import spent_words
from forgefield.platform.rounds.chooser import Chooser
from forgefield.platform.rounds.closing import Account, _why, wished_ahead
from forgefield.platform.rounds.deciding import Decision, costs_since
from forgefield.platform.rounds.documents import Course, OutcomeDocument, RoundFolder
from forgefield.platform.rounds.driving import top_up
from forgefield.platform.rounds.policy import ahead_buy
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.ledger.entries import Balance, JobState, State, TierTally
from forgefield.storage.records import Job, Purpose, Tier
from forgefield.storage.units import to_micro

COSTS = Costs(10.0, 1.0, 0.01)
NAN = float("nan")


def row(done: int, spent: float, failed: int = 0) -> TierTally:
    micro = to_micro(spent)
    return TierTally(
        tier=Tier.CCSD,
        purpose=Purpose.TRAIN,
        done=done,
        failed=failed,
        in_flight=0,
        failed_attempts=failed,
        spent_micro=micro,
        spent_on_failures_micro=0,
        bought=done,
        adopted=0,
        withdrawn=0,
        mean_core_seconds=NAN,
        std_core_seconds=NAN,
    )


def states(*parts: tuple[State, list[Job]]) -> dict[str, JobState]:
    return {job.key(): JobState(state, 1, None) for state, jobs in parts for job in jobs}


@pytest.fixture(scope="module")
def supply(tmp_path_factory: pytest.TempPathFactory) -> Supply:
    _, plan, pool = make_campaign(tmp_path_factory.mktemp("supply"), "80ccsd", recipe_with())
    return Supply.of(pool, plan, lambda _: ())


def test_slow_labels_of_the_round_and_the_holdout_need_money_too(supply: Supply) -> None:
    judging = [job for job in supply.first if job.purpose is Purpose.HOLDOUT][:3]
    own, ahead = list(supply.jobs[Tier.CCSD][:6]), list(supply.jobs[Tier.DFT][:4])
    known = states(
        (State.DONE, [*own[:4], ahead[0]]), (State.RESERVED, [*own[4:], *ahead[1:3], judging[0]])
    )
    balance = Balance(to_micro(1000.0), to_micro(100.0), to_micro(50.0))
    frozen = {job.key() for job in own[:3]}
    account = Account(balance, (), ahead, [*judging, *own], known, Counts(0), frozen)
    assert account.at_hand() == Counts(0, 3)
    assert account.late() == Counts(1 + 2, 0), "one came while the round trained"
    at_work, waiting = 2 * 10.0 + 2 * 1.0 + 10.0, 2 * 10.0
    assert account.left(COSTS) == pytest.approx(900.0 - at_work - waiting)


def test_validation_labels_that_are_slow_or_queue_need_money_too(supply: Supply) -> None:
    judging = [job for job in supply.first if job.purpose is Purpose.VALIDATION][:3]
    known = states((State.DONE, judging[:1]), (State.RESERVED, judging[1:2]))
    balance = Balance(to_micro(1000.0), to_micro(100.0), to_micro(10.0))
    account = Account(balance, (), (), judging, known, Counts(0), frozenset())
    assert account.left(COSTS) == pytest.approx(900.0 - 2 * 10.0)
    assert account.late() == Counts(0), "nobody trains on them"


def wish(tmp_path: Path, errors: list[float], target: float | None = None) -> tuple[Counts, Counts]:
    """What is bought ahead of a training on 20 labels that follows one on 10, and may be at most.

    `errors` were seen before, on 5 and 10 labels.
    """
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with(), target)
    seen = [
        Outcome(Counts(number, 20, 30), Kind.TUNED, error, 50)
        for number, error in zip((5, 10), errors, strict=True)
    ]
    record: Any = SimpleNamespace(outcomes=[OutcomeDocument.of(each) for each in seen])
    counts = Counts(20, 40, 30)
    account = Account(Balance(plan.cap_micro, 0, 0), (), (), (), {}, Counts(500, 500), ())
    most = ahead_buy(counts, Counts(10**6, 10**6), plan.recipe.rounds)
    return wished_ahead(plan, [record], counts, account), most


def test_what_is_bought_ahead_follows_from_the_errors_seen(tmp_path: Path) -> None:
    wished, most = wish(tmp_path, [3.0, 1.5])
    assert any(wished.triple)
    assert most.covers(wished)


def test_nothing_is_bought_ahead_of_a_training_that_may_well_reach_the_target(
    tmp_path: Path,
) -> None:
    assert any(wish(tmp_path, [3.0, 1.5], target=0.01)[0].triple), "far from it"
    assert wish(tmp_path, [3.0, 1.5], target=1.4)[0] == Counts(0)


def test_a_stop_names_what_was_bought_before_it_could_be_decided() -> None:
    back = Decision(Course.STOP, "reached; 3ccsd returned", Counts(0), spend_rest=False, ahead=None)
    rest = replace(back, spend_rest=True)
    words = "reached; 3ccsd returned (bought ahead meanwhile: 1 target label)"
    assert _why(back, Counts(1)) == words
    assert _why(back, Counts(0)) == back.why
    assert _why(rest, Counts(1)) == rest.why, "all is spent anyway"


def test_one_early_overrun_hardly_moves_what_labels_are_thought_to_cost(tmp_path: Path) -> None:
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with())
    calm, overrun = row(2, 20.0), row(2, 20.0 + 125.0, failed=1)
    overrun = replace(overrun, spent_on_failures_micro=to_micro(125.0))
    before, after = costs_since(plan, [calm]), costs_since(plan, [overrun])
    assert before.target == pytest.approx(10.0)
    assert 1.0 < after.target / before.target < 1.6, "4.1 times if losses were labels"
    many = replace(overrun, done=200, bought=200, spent_micro=to_micro(2000.0 + 12500.0))
    many = replace(many, spent_on_failures_micro=to_micro(12500.0))
    price = costs_since(plan, [many]).target
    assert price == pytest.approx(10.0 + 12500.0 / 200, rel=0.1), "a rule is believed in the end"


def test_a_top_up_that_was_cut_off_buys_what_it_still_may(tmp_path: Path) -> None:
    recipe = recipe_with(allocation={"most_target": 60})
    _, plan, pool = make_campaign(tmp_path, "30ccsd", recipe)
    supply = Supply.of(pool, plan, lambda _: ())
    (spare,) = (order for order in supply.spare if order.tier == Tier.CCSD)
    bought = {job.key() for job in list(spare.jobs)[:15]}
    before = [len(order.jobs) for order in supply.spare]
    assert before[0] >= 30

    def is_wanted(jobs: Any) -> list[Job]:
        return [job for job in jobs if job.key() not in bought]

    kept = plan.labels(Tier.CCSD, Purpose.HOLDOUT) + plan.labels(Tier.CCSD, Purpose.VALIDATION)
    most_middle = int(recipe.allocation.middle_per_target * (60 - kept))
    counts = Counts(45 - kept, most_middle - 7, 100)
    target, middle = top_up(supply, plan, [row(45, 450.0)], counts, is_wanted)
    assert len(target.jobs) == target.planned == 15
    assert not bought & {job.key() for job in target.jobs}
    assert len(middle.jobs) == 7
    assert [len(order.jobs) for order in supply.spare] == before, "a supply isn't used up"


def test_why_nothing_more_is_bought_is_said_as_it_is(tmp_path: Path) -> None:
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with(allocation={"most_target": 60}))

    def words(left: float, tally: TierTally) -> str:
        return spent_words(plan, Balance(to_micro(left), 0, 0), [tally])

    assert "last label that fits" in words(12.0, row(40, 400.0))
    assert "last label that fits" in words(40.0, row(40, 1600.0)), "labels cost 40 by now"
    assert "at most 60 of ccsd" in words(40.0, row(60, 600.0))
    assert "no configuration" in words(40.0, row(40, 400.0))
    assert "2 of which failed" in words(40.0, row(40, 400.0, failed=2))
    assert words(40.0, row(60, 600.0)).endswith("4ccsd returned")


def _nobody(_jobs: object) -> frozenset[str]:
    return frozenset()


def _ignored(_keys: object) -> None:
    pass


def test_torch_keeps_to_its_cores_and_a_stopped_choice_is_not_saved(
    tmp_path: Path, supply: Supply, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with())
    threads: list[int] = []

    def choose(*_: object) -> tuple[()]:
        threads.append(torch.get_num_threads())
        return ()

    def stop() -> None:
        raise Interrupted

    monkeypatch.setattr(Chooser, "_later", choose)
    place, before = RoundFolder.of(folder, 1), torch.get_num_threads()
    records: Any = [object()]
    torch.set_num_threads(3)
    try:
        with pytest.raises(Interrupted):
            Chooser(folder, plan, supply).choice(place, records, _nobody, _ignored, stop, 2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert threads == [2]
    assert not place.choice.exists()
