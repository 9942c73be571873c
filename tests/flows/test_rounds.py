"""A campaign in rounds as a user runs it: real labels, training beside labelling, real kills."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forgefield.platform.choosing.picking import Arm
from forgefield.platform.rounds.choices import load_choice
from forgefield.platform.rounds.documents import Course, RoundFolder, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.loading import load_force_field

pytestmark = pytest.mark.slow
PROGRAM = str(Path(sys.executable).with_name("platform"))
RECIPE = str(Path(__file__).with_name("rounds.toml"))
RUN = ["run", "-m", "formaldehyde", "-b", "40ccsd", "--recipe", RECIPE, "--workdir", "run"]


def platform(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [PROGRAM, *words], cwd=cwd, capture_output=True, text=True, timeout=900, check=False
    )


def killed_when(condition: Callable[[], bool], cwd: Path) -> None:
    """Start the run, and kill -9 it at that instant."""
    victim = subprocess.Popen(  # noqa: S603
        [PROGRAM, *RUN], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 600
    while not condition():
        if victim.poll() is not None:
            pytest.fail(f"it ended before it was killed: {victim.communicate()[1]}")
        assert time.monotonic() < end
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()


def kept(folder: RunFolder) -> dict[str, bytes]:
    """Everything that rounds have chosen and decided."""
    files = [*folder.rounds.glob("*/*.npz"), *folder.rounds.glob("*/round.json")]
    return {str(file.relative_to(folder.root)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder]:
    """Killed while round 0 trains, and when round 1 has chosen; then run to its end."""
    cwd = tmp_path_factory.mktemp("rounds")
    folder = RunFolder.at(cwd / "run")
    first, second = RoundFolder.of(folder, 0), RoundFolder.of(folder, 1)
    killed_when((first.training / "standard-1").exists, cwd)
    before = kept(folder)
    assert "rounds/0/choice.npz" in before
    killed_when(second.choice.exists, cwd)
    before |= kept(folder)
    ended = platform(*RUN, "--json", cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    (cwd / "result.json").write_text(ended.stdout)
    after = kept(folder)
    assert {name: after[name] for name in before} == before, "nothing was chosen twice"
    return cwd, folder


def test_the_money_and_the_labels_add_up(finished: tuple[Path, RunFolder]) -> None:
    _, folder = finished
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.verify(folder.frames) == []
        balance = ledger.balance()
    assert balance.spent_micro + balance.reserved_micro <= balance.cap_micro
    frames = load_frames(folder.frames, tuple(Purpose))
    assert len({key.tobytes() for key in frames.key_F}) == len(frames)
    bought = {
        frames.positions_A3[frames.atoms_of(at)].tobytes()
        for at in np.flatnonzero(frames.purpose_F == int(Purpose.TRAIN))
    }
    for record in ended_rounds(folder):
        choice = load_choice(RoundFolder.of(folder, record.number).choice) or ()
        assert choice
        assert {w.positions_A3.tobytes() for w in choice} <= bought


def test_rounds_grow_choose_and_end_for_a_reason(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    records = ended_rounds(folder)
    assert len(records) >= 2
    assert records[-1].decision in {Course.LAST, Course.STOP}
    assert records[1].counts.target > records[0].counts.target
    choice = load_choice(RoundFolder.of(folder, 1).choice) or ()
    assert {each.arm for each in choice if each.tier is Tier.CCSD} == set(Arm)
    result = json.loads((cwd / "result.json").read_text())
    assert result["why"]
    assert result["left"] >= 0
    assert load_force_field(folder.force_field).members[1].metadata.seed == 1


def test_status_tells_the_last_round(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    status = json.loads(platform("status", "run", "--json", cwd=cwd).stdout)
    assert status["step"] == "finished"
    assert status["round"]["ended"] == len(ended_rounds(folder))
    assert status["round"]["expected"]["low"] < status["round"]["expected"]["high"]
    shown = platform("status", "run", cwd=cwd).stdout
    assert "on validation frames" in " ".join(shown.replace("│", " ").split())


def test_a_finished_run_buys_and_decides_nothing_more(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    before, records = kept(folder), ended_rounds(folder)
    again = platform("run", "run", "--json", cwd=cwd)
    assert again.returncode == 0, again.stderr
    assert kept(folder) == before
    assert ended_rounds(folder) == records
    assert (
        json.loads(again.stdout)["spent"] == json.loads((cwd / "result.json").read_text())["spent"]
    )
