"""A campaign from nothing as a user runs it, killed twice on the way; its screens are kept.

    pip install pyte
    python tests/benchmarks/planning/real_campaign.py RUN -m malonaldehyde -b 160ccsd

Plans into the folder RUN, runs the plan, kills the driver alone with SIGKILL when labels have been
bought for `--driver-dies` seconds, goes on, kills the driver and all that it started
`--all-die` seconds later, and goes on to the end. RUN/shown has a picture of every screen, and
figures.json what was quoted, what happened, and how the books stand.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from terminals import Terminal

from forgefield.platform.run_folder import RunFolder

PROGRAM = str(Path(sys.executable).with_name("platform"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("-m", "--molecule", default="malonaldehyde")
    parser.add_argument("-b", "--budget", default="160ccsd")
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--driver-dies", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--all-die", type=float, default=2100, metavar="SECONDS")
    options = parser.parse_args()
    campaign = Campaign(options.run)
    begun = time.monotonic()
    campaign.plan(options.molecule, options.budget, options.recipe)
    campaign.run_until_killed("killed-driver", options.driver_dies, everything=False)
    campaign.run_until_killed("killed-all", options.all_die, everything=True)
    campaign.end()
    campaign.write(minutes=(time.monotonic() - begun) / 60)


class Campaign:
    """The run's folder, and the steps of its user."""

    def __init__(self, run: Path) -> None:
        self.run = RunFolder.at(run)
        self.shown = run / "shown"
        self.deaths: list[dict[str, Any]] = []
        if run.exists():
            sys.exit(f"{run} is there already: name a new folder.")

    def plan(self, molecule: str, budget: str, recipe: Path | None) -> None:
        """The quote, which makes the folder."""
        words = ["plan", "-m", molecule, "-b", budget, "--workdir", str(self.run.root)]
        words += ["--out", str(self.run.plan)]
        words += ["--recipe", str(recipe)] if recipe else []
        terminal = Terminal(PROGRAM, *words)
        code = terminal.wait()
        self.shown.mkdir(parents=True, exist_ok=True)
        terminal.picture(self.shown / "plan.svg")
        if code:
            sys.exit(f"plan ended with {code}: see {self.shown / 'plan.svg'}")

    def run_until_killed(self, name: str, seconds: float, *, everything: bool) -> None:
        """Killed so long after its first label, or its start where labels were there."""
        terminal = Terminal(PROGRAM, "run", str(self.run.plan))
        while not self._labelling() and terminal.process.poll() is None:
            time.sleep(0.5)
        end = time.monotonic() + seconds
        while time.monotonic() < end and terminal.process.poll() is None:
            time.sleep(0.5)
        if terminal.process.poll() is not None:
            sys.exit(f"the run ended before it was to be killed ({name}): choose fewer seconds.")
        self._show("status", name=f"status-{name}")
        killed = terminal.kill(everything)
        terminal.picture(self.shown / f"run-{name}.svg")
        self.deaths.append({"name": name, "seconds": seconds, "processes": killed})
        print(f"{name}: {killed} processes killed", flush=True)

    def end(self) -> None:
        """Run what is left, then look at all that it left."""
        terminal = Terminal(PROGRAM, "run", str(self.run.plan))
        code = terminal.wait()
        terminal.picture(self.shown / "run.svg")
        if code:
            sys.exit(f"run ended with {code}: see {self.shown / 'run.svg'}")
        self._show("status")
        self._show("ledger", "--verify")
        self._show("evaluate")
        self._show("report")

    def write(self, minutes: float) -> None:
        """What was quoted and what happened, as JSON."""
        plan = json.loads(self.run.plan.read_text("utf-8"))
        figures = {
            "minutes": minutes,
            "deaths": self.deaths,
            "quote": {name: plan[name] for name in ("forecast", "tiers", "wall", "training_time")},
            "status": self._figures("status"),
            "ledger": self._figures("ledger", "--verify"),
            "evaluation": self._figures("evaluate"),
        }
        text = json.dumps(figures, indent=1)
        (self.shown / "figures.json").write_text(text, encoding="utf-8")
        print(text)

    def _labelling(self) -> bool:
        return any(event["event"] == "labelling began" for event in self.run.events())

    def _show(self, command: str, *words: str, name: str = "") -> None:
        terminal = Terminal(PROGRAM, command, str(self.run.root), *words)
        terminal.wait()
        terminal.picture(self.shown / f"{name or command}.svg")

    def _figures(self, command: str, *words: str) -> Any:
        said = subprocess.run(
            [PROGRAM, command, str(self.run.root), *words, "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(said.stdout)


if __name__ == "__main__":
    main()
