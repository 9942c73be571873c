"""What a user gets wrong on the command line."""

from pathlib import Path

import pytest
from small_campaigns import platform


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["plan", "-m", "asprin", "-b", "20ccsd"], 2, "aspirin"),
        (["plan", "-m", "water", "-b", "twenty"], 2, "250ccsd"),
        (["plan", "-m", "water"], 2, "--budget"),
        (["plan", "-m", "C[O]", "-b", "20ccsd"], 2, "radical"),
        (["plan", "-m", "methanol", "-b", "3ccsd", "--no-calibrate"], 2, "at least"),
        (["plan", "-m", "methanol", "-b", "3ccsd"], 2, "at least"),
        (["run", "nowhere.json"], 2, "platform plan"),
        (["run", "--workdir", "there", "-b", "40ccsd"], 2, "Leave --budget out"),
        (["run", "plan.json", "--charge", "1", "--multiplicity", "2"], 2, "--charge and --mult"),
        (["status", "nowhere"], 2, "not a run folder"),
        (["export", "nowhere", "-o", "x.xyz"], 2, "not a run folder"),
        (["plan", "-m", "water", "-b", "20ccsd", "--recipe", "nowhere.toml"], 2, "nowhere.toml"),
    ],
)
def test_user_mistakes_are_explained_before_anything_is_spent(
    words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    answer = platform(*words, cwd=tmp_path)
    assert answer.returncode == code, answer.stderr
    assert said in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.glob("**/ledger.sqlite"))
