"""Rows of the benchmarks by the names that people read."""

from enum import StrEnum


class Kind(StrEnum):
    """A row of the ASTEROID table."""

    STANDARD = "standard"
    UNTUNED = "without fine-tuning"
    UNWEIGHTED = "without weights"
    COMMITTEE = "committee"
    FULL = "ASTEROID"
    SCORES = "score matching"
    DELTA = "Δ-learning"
    SGDML = "sGDML"


class CurveKind(StrEnum):
    """A line of a learning curve."""

    STANDARD = "standard"
    TUNED = "fine-tuned"
