"""`platform label`: what it writes, what it refuses before anything is computed, what it quotes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from forgefield.labelers.registry import labeler_for
from forgefield.platform.cli import main
from forgefield.platform.commands.label import parse_size
from forgefield.platform.labelling_files.time_to_go import CostSpread
from forgefield.platform.labelling_files.work import method_name
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration

METHOD = "GFN2-xTB"
Said = tuple[int, dict[str, Any]]


def frames() -> list[Atoms]:
    noise, made = np.random.default_rng(2), []
    for name in ("H2O", "CH3OH", "H2O", "OH", "H2O"):
        atoms = molecule(name)
        atoms.set_initial_magnetic_moments(None)
        atoms.positions += noise.normal(0, 0.02, atoms.positions.shape)
        atoms.info.update(tag=f"{name}!", energy=1.0)
        made.append(atoms)
    made[4].positions[1] = made[4].positions[2]
    return made


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Water, methanol, water, a radical, and water with its hydrogens on one another."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("frames.xyz", frames(), format="extxyz")
    return tmp_path / "frames.xyz"


@pytest.fixture
def platform(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """The command: its exit code and its JSON."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr("sys.argv", ["platform", *map(str, arguments), "--json"])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        answer: dict[str, Any] = json.loads(capfd.readouterr().out.splitlines()[-1])
        return int(ended.value.code or 0), answer

    return call


def test_all_frames_of_all_sizes_in_order(file: Path, platform: Callable[..., Said]) -> None:
    code, said = platform("label", file, "-M", METHOD)
    out = file.with_name("frames-labelled.xyz")
    assert (code, said["labelled"], said["computed"], said["out"]) == (7, 4, 4, out.name)
    (failed,) = said["failures"]
    assert (failed["frame"], failed["kind"]) == (4, "BadConfiguration")

    found, labeler = ase.io.read(out, ":"), labeler_for(METHOD)
    assert [a.info["frame"] for a in found] == [0, 1, 2, 3]
    assert [a.info["multiplicity"] for a in found] == [1, 1, 1, 2]
    assert [a.info["tag"] for a in found] == ["H2O!", "CH3OH!", "H2O!", "OH!"]
    for atoms, before in zip(found, frames(), strict=False):
        numbers, spin = tuple(map(int, atoms.numbers)), int(atoms.info["multiplicity"])
        label = labeler.label(Configuration("", numbers, before.positions.round(8), 0, spin))
        assert np.abs(atoms.positions - before.positions).max() < 1e-8
        assert atoms.get_potential_energy() == pytest.approx(label.energy, abs=1e-8)
        assert label.forces_A3 is not None
        assert np.abs(atoms.get_forces() - label.forces_A3).max() < 1e-6
        assert {"method": METHOD, "program": "tblite", "threads": 1}.items() <= atoms.info.items()
        assert {"version", "host", "cpu_s", "wall_s", "residual_force"} <= atoms.info.keys()

    code, said = platform("label", file, "-M", METHOD)
    assert (code, said["computed"], said["reused"]) == (7, 0, 4)
    code, said = platform("label", file, "-M", "GFN1-xTB")
    assert code == 2
    assert "was begun for GFN2-xTB, not GFN1-xTB" in said["error"]["message"]
    ase.io.write(file, frames()[:3], format="extxyz")
    code, said = platform("label", file, "-M", METHOD)
    assert code == 2
    assert "with other frames (5 of frames.xyz, now 3 of frames.xyz)" in said["error"]["message"]


def test_energies_alone_and_a_second_call_that_has_nothing_to_do(
    file: Path, platform: Callable[..., Said]
) -> None:
    ase.io.write(file, [*frames()[:2], frames()[0]], format="extxyz")
    call = ("label", file, "-M", METHOD, "--energy-only", "-o", "out.xyz")
    code, said = platform(*call)
    assert (code, said["method"], said["computed"]) == (0, f"{METHOD}, energy only", 2)
    found = ase.io.read("out.xyz", ":")
    assert [sorted(a.calc.results) for a in found] == [["energy"]] * 3
    assert found[0].get_potential_energy() == found[2].get_potential_energy()
    assert not Path("out.xyz.partial").exists()
    code, said = platform(*call)
    assert (code, said["computed"], said["reused"]) == (0, 0, 2)
    code, said = platform("label", file, "-M", METHOD, "-o", "out.xyz")
    assert (code, said["error"]["kind"]) == (2, "InputError")


def test_an_estimate_computes_nothing(file: Path, platform: Callable[..., Said]) -> None:
    code, said = platform("label", file, "-M", "pbe/def2-svp", "--estimate", "--threads", 1)
    assert (code, said["frames"], said["labels"], said["broken"]) == (0, 5, 4, 1)
    each = {row["molecule"]: row for row in said["molecules"]}
    assert {name: row["labels"] for name, row in each.items()} == {"H2O": 2, "CH4O": 1, "HO": 1}
    total = sum(row["labels"] * row["core_seconds"] for row in each.values())
    assert said["core_seconds"] == pytest.approx(total)
    assert said["low"] < said["core_seconds"] < said["high"]
    assert total / said["workers"] < said["wall_s"] < 2 * total
    assert said["memory_bytes"] == each["CH4O"]["memory_bytes"]
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.xyz"], "no file 'nowhere.xyz'"),
        (["frames.xyz"], "frame 3 of frames.xyz: .*HO has multiplicity 2"),
        (["frames.xyz", "-M", METHOD, "--charge", "1", "--multiplicity", "1"], "frame 0 .*9 elec"),
        (["frames.xyz", "-M", "guess/work"], "guess"),
        (["frames.xyz", "-M", METHOD, "--memory", "1MB"], "No GFN2-xTB label of H2O .* 0.25 GB"),
        (["frames.xyz", "-M", METHOD, "--memory", "9000GB"], "--memory asks for 9000.0 GB"),
        (["frames.xyz", "-M", METHOD, "--threads", "999"], "999 threads a label, but a node has"),
        (["frames.xyz", "-M", METHOD, "-o", "frames.xyz"], "is the file to be labelled"),
        (["frames.xyz", "-M", METHOD, "-o", "no/where.xyz"], "no folder no; make it"),
        (["frames.xyz", "-M", METHOD, "-o", "other.xyz"], "other.xyz exists and holds something"),
        (["frames.xyz", "-M", "MP2/cc-pVDZ, frozen core", "--all-electron"], "freezes the core"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(
    file: Path, platform: Callable[..., Said], arguments: list[str], said: str
) -> None:
    file.with_name("other.xyz").write_text("1\n\nHe 0 0 0\n")
    before = sorted(file.parent.iterdir())
    code, answer = platform("label", *arguments)
    assert code == 2
    with pytest.raises(InputError, match=said):
        raise InputError(answer["error"]["message"])
    assert sorted(file.parent.iterdir()) == before


def test_options_add_to_the_name_of_a_method() -> None:
    def name(method: str, *, all_electrons: bool = False, energy_only: bool = False) -> str:
        return method_name(method, all_electrons=all_electrons, energy_only=energy_only)

    assert name("CCSD(T)/cc-pVDZ", all_electrons=True) == "CCSD(T)/cc-pVDZ, all electrons"
    assert name("HF/STO-3G, Energy only", energy_only=True) == "HF/STO-3G, Energy only"
    both = name("CCSD(T)/cc-pVDZ, energy only", all_electrons=True)
    assert both == "CCSD(T)/cc-pVDZ, all electrons, energy only"
    assert labeler_for(both).method.name == both


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8e9), ("8", 8e9), ("500 mb", 5e8), ("1.5GiB", 1.5 * 2**30)]
)
def test_sizes(text: str, size: float) -> None:
    assert parse_size(text) == int(size)


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "8 apples", "nan", "1e99"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="no amount of memory"):
        parse_size(text)


def test_the_time_to_go_and_its_range_hold_nine_times_in_ten() -> None:
    random, held = np.random.default_rng(4), 0
    for _ in range(300):
        guesses = random.uniform(1, 3, 60)
        costs = guesses * random.normal(2.0, 0.4, 60)
        spread = CostSpread()
        for guess, cost in zip(guesses[:20], costs[:20], strict=True):
            spread.add(float(guess), float(cost))
        left = guesses[20:]
        found = spread.time_to_go(float(left.sum()), float((left**2).sum()), 2.0)
        assert found is not None
        held += found.low <= costs[20:].sum() / 2 <= found.high
    assert 0.84 < held / 300 < 0.96
    assert CostSpread().time_to_go(1.0, 1.0, 1.0) is None
