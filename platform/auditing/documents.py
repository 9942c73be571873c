"""What an audit says, as JSON documents. Energies in kcal/mol, forces in kcal/mol/Å, gaps in eV."""

from forgefield.storage.documents import Document
from forgefield.storage.records import Tier


class TierQuote(Document):
    """What checking one tier costs: `checked` of `labels`, each once more and four energies."""

    tier: Tier
    method: str
    labels: int
    checked: int
    core_seconds: float
    memory_bytes: int


class AuditQuote(Document):
    """What an audit costs on this machine; it is nobody's budget."""

    folder: str
    molecule: str
    running: bool
    seed: int
    threads: int
    core_seconds: float
    wall_s: float
    tiers: tuple[TierQuote, ...]


class Check(Document):
    """One label against its own method; `seq` is its number in the ledger and in exports.

    `None` where there is nothing to compare: forces of an energy-only label, a label that could
    not be made again. `problem` is "" for a label that is right.
    """

    seq: int
    job: str
    tier: Tier
    purpose: str
    energy_change: float | None = None
    force_change: float | None = None
    slope_error: float | None = None
    wall_s: float = 0.0
    problem: str = ""

    @property
    def name(self) -> str:
        """The label as messages name it."""
        return f"label {self.seq} ({self.tier}, {self.purpose}, job {self.job[:8]})"


class Flag(Document):
    """A stored label worth a look, which may be right all the same."""

    seq: int
    tier: Tier
    reason: str


class Diagnostics(Document):
    """Extremes over all stored labels of a tier; `None` where none of them says."""

    residual_force: float | None
    residual_torque: float | None
    t1: float | None
    gap: float | None
    scf_iterations: float | None
    cc_iterations: float | None
    lambda_iterations: float | None
    remedies: int


class TierAudit(Document):
    """One tier: its labels, what was recomputed, what is stored."""

    tier: Tier
    method: str
    labels: int
    checks: tuple[Check, ...]
    diagnostics: Diagnostics
    note: str

    def worst(self, name: str) -> float | None:
        """Largest of a number over the checks."""
        values = [getattr(check, name) for check in self.checks]
        return max((value for value in values if value is not None), default=None)


class Audit(Document):
    """The whole audit."""

    quote: AuditQuote
    core_seconds: float
    wall_s: float
    tiers: tuple[TierAudit, ...]
    flags: tuple[Flag, ...]

    @property
    def wrong(self) -> tuple[Check, ...]:
        """Labels that failed."""
        return tuple(check for tier in self.tiers for check in tier.checks if check.problem)
