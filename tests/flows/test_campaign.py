"""A whole campaign as a user runs it: real labels, real Ray, real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier

PROGRAM = str(Path(sys.executable).with_name("platform"))
RECIPE = str(Path(__file__).with_name("small.toml"))
ASK = ["--molecule", "formaldehyde", "--budget", "200ccsd", "--recipe", RECIPE]


def platform(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [PROGRAM, *words], cwd=cwd, capture_output=True, text=True, timeout=540, check=False
    )


def start(*words: str, cwd: Path, **how: Any) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([PROGRAM, *words], cwd=cwd, **pipes, **how)  # noqa: S603


def wait_until(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.1)
    pytest.fail(f"nothing happened within {seconds} s")


def settled(folder: RunFolder) -> int:
    if not folder.ledger.exists():
        return 0
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        return sum(row.done for row in ledger.tally())


def is_buying(folder: RunFolder, tier: Tier) -> bool:
    """Whether labels of this tier are in flight and the calibration is over."""
    if not has_begun(folder, "labelling began"):
        return False
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        return any(row.in_flight for row in ledger.tally() if row.tier is tier)


def has_begun(folder: RunFolder, event: str) -> bool:
    return any(line["event"] == event for line in folder.events())


def audit(folder: RunFolder) -> None:
    """Every invariant of the money holds, and the store holds each settled label once."""
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.verify(folder.frames) == []
        balance = ledger.balance()
    assert balance.spent_micro + balance.reserved_micro <= balance.cap_micro


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder]:
    """A campaign that was planned, started, killed -9 while labelling, and run again."""
    cwd = tmp_path_factory.mktemp("campaign")
    folder = RunFolder.at(cwd / "run")
    planned = platform("plan", *ASK, "--workdir", "run", cwd=cwd)
    assert planned.returncode == 0, planned.stderr
    victim = start("run", "plan.json", cwd=cwd)
    wait_until(lambda: is_buying(folder, Tier.CCSD))
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    again = platform("run", "plan.json", "--json", cwd=cwd)
    assert again.returncode == 0, again.stderr
    (cwd / "result.json").write_text(again.stdout)
    return cwd, folder


def test_a_killed_campaign_ends_with_every_label_once(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    audit(folder)
    plan = json.loads((cwd / "plan.json").read_text())
    frames = load_frames(folder.frames, tuple(Purpose))
    assert len({key.tobytes() for key in frames.key_F}) == len(frames)
    for quote in plan["tiers"]:
        bought = len(frames.of_tier(Tier(quote["tier"])))
        assert bought >= sum(quote["labels"].values()), quote["tier"]


def test_the_hold_out_is_labelled_at_no_other_tier(finished: tuple[Path, RunFolder]) -> None:
    frames = load_frames(finished[1].frames, tuple(Purpose))
    kept = {Purpose.HOLDOUT.value, Purpose.VALIDATION.value}
    apart = {
        g.tobytes() for g, p in zip(frames.geometry_F, frames.purpose_F, strict=True) if p in kept
    }
    others = {
        g.tobytes()
        for g, p in zip(frames.geometry_F, frames.purpose_F, strict=True)
        if p not in kept
    }
    assert apart
    assert not apart & others


def test_the_result_names_what_it_left(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    result = json.loads((cwd / "result.json").read_text())
    evaluation = result["evaluation"]
    assert evaluation["test_set"] == "hold-out"
    assert evaluation["force_field"]["low"] <= evaluation["force_field"]["force_mae"]
    assert evaluation["force_field"]["force_mae"] <= evaluation["force_field"]["high"]
    assert Path(result["report"]).read_text().lower().startswith("<!doctype html>")
    assert (folder.force_field / "committee.json").exists()
    for member in ("member-00", "member-01"):
        assert (folder.force_field / member / "weights.safetensors").exists()


def test_the_force_field_conserves_energy_in_ase(finished: tuple[Path, RunFolder]) -> None:
    from ase import Atoms, units
    from ase.md.velocitydistribution import thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    from forgefield.trainers.calculator import ForgefieldCalculator

    frames = load_frames(finished[1].frames)
    first = frames.atoms_of(0)
    atoms = Atoms(frames.numbers[first], frames.positions_A3[first])
    atoms.calc = ForgefieldCalculator(finished[1].force_field)
    thermalize_momenta(atoms, temperature_K=100, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, timestep=0.25 * units.fs)
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=10)
    dynamics.run(400)
    assert np.ptp(energies) < 2e-3 * len(atoms), "eV; NVE drifts by less than 2 meV an atom"


def test_the_calculator_refuses_another_molecule(finished: tuple[Path, RunFolder]) -> None:
    from ase.build import molecule

    from forgefield.storage.errors import InputError
    from forgefield.trainers.calculator import ForgefieldCalculator

    stranger = molecule("CH3CH2OH")
    stranger.calc = ForgefieldCalculator(finished[1].force_field)
    with pytest.raises(InputError, match="something else"):
        stranger.get_potential_energy()


def test_running_a_finished_run_again_buys_nothing(finished: tuple[Path, RunFolder]) -> None:
    cwd, folder = finished
    before = settled(folder)
    again = platform("run", "run", "--json", cwd=cwd)
    assert again.returncode == 0, again.stderr
    assert settled(folder) == before
    assert (
        json.loads(again.stdout)["evaluation"]
        == (json.loads((cwd / "result.json").read_text())["evaluation"])
    )


def test_status_report_evaluate_and_export(finished: tuple[Path, RunFolder]) -> None:
    import ase.io

    cwd, folder = finished
    status = json.loads(platform("status", "run", "--json", cwd=cwd).stdout)
    assert not status["running"]
    assert status["spent"] + status["left"] == pytest.approx(status["cap"])
    assert "CCSD(T)/cc-pVDZ" in platform("status", "run", cwd=cwd).stdout
    exported = platform("export", "run", "-o", "all.xyz", "--purpose", "all", cwd=cwd)
    assert exported.returncode == 0, exported.stderr
    nowhere = platform("export", "run", "-o", "nowhere/all.xyz", cwd=cwd)
    assert nowhere.returncode == 2
    assert "Can't write" in nowhere.stderr
    images = ase.io.read(cwd / "all.xyz", index=":")
    assert len(images) == settled(folder)
    holdout = platform(
        "export", "run", "-o", "h.xyz", "--tier", "ccsd", "--purpose", "holdout", cwd=cwd
    )
    assert holdout.returncode == 0
    own = json.loads(platform("evaluate", "run", "--frames", "h.xyz", "--json", cwd=cwd).stdout)
    known = json.loads(platform("evaluate", "run", "--json", cwd=cwd).stdout)
    assert own["force_field"]["force_mae"] == pytest.approx(known["force_field"]["force_mae"])
    report = platform("report", "run", "-o", "r.html", cwd=cwd)
    assert report.returncode == 0
    assert (cwd / "r.html").stat().st_size > 10_000


def test_ctrl_c_settles_what_is_in_flight_and_a_second_driver_is_refused(tmp_path: Path) -> None:
    """First stopped while it labels, then while it trains; metrics are served meanwhile."""
    folder = RunFolder.at(tmp_path / "run")
    words = ["run", *ASK, "--workdir", "run"]
    driver = start(*words, cwd=tmp_path)
    wait_until(lambda: is_buying(folder, Tier.CCSD))
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "labels in flight" in said
    audit(folder)
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.balance().reserved_micro == 0
        assert not ledger.failures()
    driver = start(*words, cwd=tmp_path)
    wait_until(lambda: has_begun(folder, "training began"))
    url = next(e["metrics"] for e in reversed(folder.events()) if e["event"] == "ray is up")
    assert b"ray_forgefield_labels" in urlopen(url).read()  # noqa: S310
    os.kill(driver.pid, signal.SIGSTOP)  # a small training would be over before the refusal is
    second = platform(*words, cwd=tmp_path)
    os.kill(driver.pid, signal.SIGINT)
    os.kill(driver.pid, signal.SIGCONT)
    assert second.returncode == 5, second.stderr
    assert f"in use by process {driver.pid}" in " ".join(second.stderr.split())
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said


def test_a_signal_to_the_whole_job_ends_it_at_once(tmp_path: Path) -> None:
    """As queues send it: Ray gets it too, and then answers nobody."""
    folder = RunFolder.at(tmp_path / "run")
    driver = start("run", *ASK, "--workdir", "run", cwd=tmp_path, start_new_session=True)
    wait_until(lambda: has_begun(folder, "calibration began"))
    os.killpg(driver.pid, signal.SIGTERM)
    _, said = driver.communicate(timeout=30)
    assert driver.returncode == 130, said
    assert "Stopped" in said
    audit(folder)


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
