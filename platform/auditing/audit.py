"""An audit from its quote to its findings: read the run, then compute here, label by label."""

import os
import statistics
import time
from dataclasses import dataclass

from forgefield.labelers.labeler import ENERGY_ONLY
from forgefield.labelers.registry import labeler_for
from forgefield.platform.auditing.checks import STENCIL, Bench, check
from forgefield.platform.auditing.documents import Audit, AuditQuote, TierAudit, TierQuote
from forgefield.platform.auditing.sample import Part, drawn, molecule_of
from forgefield.platform.auditing.stored import diagnostics_of, flags_of
from forgefield.platform.planning.machine import Machine, this_machine
from forgefield.platform.planning.throughput import thread_variables
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule
from forgefield.storage.run_lock import RunLock

START_S = 1.0
"""Core-seconds until a method's libraries are loaded and compiled, each."""
LONG_S = 60.0
"""Core-seconds from which all cores are used: a short label only loses by several threads."""
BAR = "labels audited"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What will be audited, and its quote."""

    quote: AuditQuote
    molecule: Molecule
    parts: list[Part]
    machine: Machine


def prepare(
    folder: RunFolder, labels: int, tiers: tuple[str, ...], seed: int, threads: int | None
) -> Prepared:
    """Draw the labels and quote their cost; raises `InputError`, and computes nothing."""
    machine, molecule = this_machine(), molecule_of(folder)
    parts = drawn(folder, labels, tiers, seed)
    running = RunLock(folder.root).is_held()
    rows = [_quoted(part, molecule, threads or 1) for part in parts]
    each, short = threads or 1, sum(row.core_seconds for row in rows) < LONG_S
    if threads is None and not (running or short):
        each = machine.cores
        rows = [_quoted(part, molecule, each) for part in parts]
    for row in rows:
        _refuse_too_large(row, machine)
    core_seconds = sum(row.core_seconds for row in rows)
    quote = AuditQuote(
        folder=str(folder.root),
        molecule=molecule.name,
        running=running,
        seed=seed,
        threads=each,
        core_seconds=core_seconds,
        wall_s=core_seconds / each,
        tiers=tuple(rows),
    )
    return Prepared(quote, molecule, parts, machine)


def audit(prepared: Prepared, reporter: Reporter) -> Audit:
    """Check label by label; a wrong one is a finding, never an exception."""
    os.environ.update(thread_variables(prepared.quote.threads))  # before OpenMP is loaded
    started, used = time.perf_counter(), time.process_time()
    total = sum(len(part.places) for part in prepared.parts)
    tiers: list[TierAudit] = []
    for part in prepared.parts:
        before = sum(len(tier.checks) for tier in tiers)
        tiers.append(_audited(prepared, part, reporter, (before, total)))
    return Audit(
        quote=prepared.quote,
        core_seconds=time.process_time() - used,
        wall_s=time.perf_counter() - started,
        tiers=tuple(tiers),
        flags=tuple(flag for part in prepared.parts for flag in flags_of(part)),
    )


def _audited(
    prepared: Prepared, part: Part, reporter: Reporter, counted: tuple[int, int]
) -> TierAudit:
    before, total = counted
    quote = prepared.quote
    reporter.bar(BAR, before, total, part.method)
    bench = Bench.of(part.method, prepared.molecule, prepared.machine.memory_bytes, quote.threads)
    checks = []
    for place in part.places:
        checks.append(check(part, int(place), bench, quote.seed))
        reporter.bar(BAR, before + len(checks), total, part.method)
    return TierAudit(
        tier=part.tier,
        method=part.method,
        labels=len(part.frames),
        checks=tuple(checks),
        diagnostics=diagnostics_of(part),
        note=_version_note(part, bench),
    )


def _version_note(part: Part, bench: Bench) -> str:
    origin = part.frames.provenance
    used = {origin.programs[place] for place in origin.program_F[part.places]}
    others = sorted(p.version for p in used if p.version != bench.whole.version)
    if not others:
        return ""
    return f"bought with {bench.whole.program} {', '.join(others)}; here {bench.whole.version}"


def _quoted(part: Part, molecule: Molecule, threads: int) -> TierQuote:
    """The labeler's estimate, scaled by what the labels of this run have really cost."""
    whole = labeler_for(part.method)
    energy = labeler_for(part.method.removesuffix(ENERGY_ONLY) + ENERGY_ONLY)
    frames = part.frames
    spent = [
        float(cost) / whole.estimate(molecule, int(at)).core_seconds
        for cost, at in zip(frames.cost_F[:100], frames.provenance.threads_F[:100], strict=True)
    ]
    again, slope = whole.estimate(molecule, threads), energy.estimate(molecule, threads)
    energies = 0 if part.method.endswith(ENERGY_ONLY) else len(STENCIL)
    each = again.core_seconds + energies * slope.core_seconds
    return TierQuote(
        tier=part.tier,
        method=part.method,
        labels=len(frames),
        checked=len(part.places),
        core_seconds=START_S + statistics.median(spent) * len(part.places) * each,
        memory_bytes=again.memory_bytes,
    )


def _refuse_too_large(row: TierQuote, machine: Machine) -> None:
    if row.memory_bytes > machine.memory_bytes:
        raise InputError(
            f"A {row.method} label needs about {row.memory_bytes / 1e9:.1f} GB; this machine has "
            f"{machine.memory_bytes / 1e9:.1f} GB for labels. Audit on a larger one, or choose "
            "the other tiers with --tiers."
        )
