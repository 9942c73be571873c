"""A whole campaign as a user runs it: real labels, real Ray, a real kill."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from small_campaigns import ASK, audit, is_buying, platform, settled, start, wait_until

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier


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
