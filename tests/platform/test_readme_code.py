"""README's Python for training, run as it stands but for the number of steps."""

import re
import textwrap
from pathlib import Path

import pytest
import spring_files as springs
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.storage.errors import MissingProgram

README = Path(__file__).parents[2] / "README.md"
FILES = (
    ("dft.npz", 40, springs.CHEAP, "PBE/def2-SVP", "train"),
    ("ccsd.npz", 12, springs.ACCURATE, "CCSD(T)/cc-pVTZ", "train"),
    ("judged.npz", 6, springs.ACCURATE, "CCSD(T)/cc-pVTZ", "validation"),
)


def blocks() -> list[str]:
    """The Python blocks of the section."""
    section = README.read_text(encoding="utf-8").split("### From Python")[1].split("\n## ")[0]
    return [textwrap.dedent(b) for b in re.findall(r"```python\n(.*?)```", section, re.DOTALL)]


@pytest.fixture
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set that the section begins with, of springs."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, count, stiffness, method, purpose) in enumerate(FILES):
        springs.write(Path(name), springs.distortions(count, seed), stiffness)
        words = ["import", name, "--into", "data", "--method", method, "--purpose", purpose]
        answer = CliRunner().invoke(app, [*words, "--energy-unit", "kcal/mol"])
        assert answer.exit_code == 0, answer.output


@pytest.mark.usefixtures("_data")
def test_stages_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    stages = blocks()[0].replace("FitSettings(", "FitSettings(steps=4, evaluate_every=2, ")
    assert "steps=4" in stages
    exec(compile(stages, "README.md", "exec"), {})  # noqa: S102
    assert "eV/Å on validation frames" in capsys.readouterr().out
    for output in ("dft", "ccsd"):
        assert Path(output, "stage.json").exists()


@pytest.mark.usefixtures("_data")
def test_another_program_that_is_not_there_is_named() -> None:
    Path("MACE-OFF23_small.model").write_bytes(b"weights")
    with pytest.raises(MissingProgram, match="mace-torch"):
        exec(compile(blocks()[1], "README.md", "exec"), {})  # noqa: S102
