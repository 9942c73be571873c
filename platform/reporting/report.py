"""The report of a run: one HTML file that needs nothing else, finished or not.

Read (`facts`), predict (`predictions`), draw and word (the sections), fill the
template. The same run folder gives the same bytes.
"""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from forgefield.labelers.depiction import structure
from forgefield.platform.drawing.figures import drawing, drawn
from forgefield.platform.reporting.arm_errors import round_arms
from forgefield.platform.reporting.arms import arms_section
from forgefield.platform.reporting.calibration import trust_section
from forgefield.platform.reporting.citations import References
from forgefield.platform.reporting.errors import atoms_section, parity_section
from forgefield.platform.reporting.errors_seen import errors_seen
from forgefield.platform.reporting.facts import Facts, read_facts
from forgefield.platform.reporting.labels import failures_section, labels_section
from forgefield.platform.reporting.learning_curve import curve_section
from forgefield.platform.reporting.parts import DASH, Section, core_hours, money
from forgefield.platform.reporting.predictions import curve_points, hold_out, tier_biases
from forgefield.platform.reporting.quote import quote_section
from forgefield.platform.reporting.spend import spend_section
from forgefield.platform.reporting.text import headline, methods_text, usage
from forgefield.platform.reporting.timeline import timeline_section
from forgefield.platform.reporting.training import learning_section, weights_section
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.wording import UNIT, digits, duration
from forgefield.storage.elements import hill
from forgefield.storage.units import from_micro

TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the large numbers at the top: what, the value, and what stands below it."""

    what: str
    value: str
    below: tuple[str, ...]
    accent: str = ""


def write_report(folder: RunFolder, out: Path) -> Path:
    """Write the report of `folder` to `out`, which appears whole or not at all; returns `out`.

    Raises `InputError` where `out` can't be written or a file of the run is another program's.
    """
    facts = read_facts(folder)
    with drawing():
        page = render(facts)
    write_atomically(out, page)
    return out


def render(facts: Facts) -> str:
    """The page."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    cite = References()
    methods = methods_text(facts, cite)
    return template.render(
        title=f"{facts.molecule} · Forgefield",
        molecule=facts.molecule,
        formula=hill(facts.plan.molecule.numbers) if facts.plan else (),
        facts_line=_facts_line(facts),
        structure=_structure(facts),
        verdict=headline(facts.evaluation),
        numbers=_key_numbers(facts),
        sections=sections(facts),
        methods=methods,
        references=cite.entries,
        usage=usage(facts) if facts.folder.force_field.is_dir() else "",
        reproduce=f"platform run {shlex.quote(facts.folder.root.name)}",
        recipe=facts.plan.recipe.model_dump_json(indent=2) if facts.plan else "",
        footer=_footer(facts),
    )


def sections(facts: Facts) -> tuple[Section, ...]:
    """All parts between headline and methods; those with nothing to show yet come last."""
    held = hold_out(facts)
    parts = (
        parity_section(held),
        atoms_section(facts, held),
        trust_section(held),
        curve_section(facts, errors_seen(facts)),
        quote_section(facts),
        arms_section(facts, round_arms(facts)),
        learning_section(facts, curve_points(facts)),
        weights_section(facts, tier_biases(facts)),
        spend_section(facts),
        labels_section(facts),
        failures_section(facts),
        timeline_section(facts),
    )
    said = (part for part in parts if part is not None)
    return tuple(sorted(said, key=lambda part: bool(part.missing)))


def _facts_line(facts: Facts) -> tuple[str, ...]:
    if facts.plan is None:
        return ("no plan yet: calibration is not over",)
    plan = facts.plan
    charge = f"charge {plan.molecule.charge:+d}" if plan.molecule.charge else ""
    spin = f"multiplicity {plan.molecule.multiplicity}" if plan.molecule.multiplicity > 1 else ""
    said = (f"{len(plan.molecule.numbers)} atoms", charge, spin, f"budget {plan.budget}")
    return tuple(text for text in (*said, plan.tiers[-1].method) if text)


def _structure(facts: Facts) -> Markup | None:
    if facts.plan is None:
        return None
    svg = structure(facts.plan.molecule.to_record())
    alt = f"Structural formula of {facts.molecule}"
    return None if svg is None else drawn(svg, "structure", alt)


def _key_numbers(facts: Facts) -> tuple[KeyNumber, ...]:
    found = facts.evaluation
    spent, cap = from_micro(facts.balance.spent_micro), from_micro(facts.balance.cap_micro)
    errors = (
        ("force error, hold-out", found and found.force_field, "force-field"),
        ("standard training", found and found.baseline, "baseline"),
    )
    return (
        *(
            KeyNumber(
                what,
                digits(error.force_mae) if error else DASH,
                (UNIT, f"95 %: {digits(error.low)} to {digits(error.high)}")
                if error
                else ("not evaluated yet",),
                accent,
            )
            for what, error, accent in errors
        ),
        KeyNumber("spent", money(facts, spent), (f"of {money(facts, cap)}", core_hours(spent))),
        KeyNumber("wall time", duration(facts.wall_s) if facts.spans else DASH, _longest(facts)),
    )


def _longest(facts: Facts) -> tuple[str, ...]:
    """The two steps that took most of the time."""
    longest = sorted(facts.spans, key=lambda span: -span.seconds)[:2]
    return tuple(f"{span.name} {duration(span.seconds)}" for span in longest)


def _footer(facts: Facts) -> str:
    version = facts.plan.forgefield if facts.plan else ""
    when = datetime.fromtimestamp(facts.updated, tz=UTC) if facts.updated else None
    stamp = f"State of {when:%Y-%m-%d %H:%M} UTC." if when else ""
    return f"Made by Forgefield {version}. {stamp}".replace(" .", ".")
