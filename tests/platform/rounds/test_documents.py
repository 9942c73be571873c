"""Documents of rounds: what they say, and what older versions left unsaid."""

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import Kind, Outcome, Training
from forgefield.platform.rounds.documents import OutcomeDocument

SEEN = Outcome(Counts(40, 100, 2000), Kind.TUNED, 0.7, 12, Training(2.0))


def test_an_outcome_comes_back_with_its_training() -> None:
    text = OutcomeDocument.of(SEEN).model_dump_json()
    assert OutcomeDocument.model_validate_json(text).to_outcome(Training(9.0)) == SEEN


def test_rounds_of_an_older_version_took_what_their_plan_says() -> None:
    text = OutcomeDocument.of(SEEN).model_dump_json(exclude={"effort", "members"})
    found = OutcomeDocument.model_validate_json(text).to_outcome(Training(2.0))
    assert found == SEEN
