"""How far a force field can be trusted: committees, their disagreement, its calibration."""

from forgefield.trainers.uncertainty.calibration import Calibration, calibrate
from forgefield.trainers.uncertainty.committee import Committee, Opinion
from forgefield.trainers.uncertainty.reliability import Reliability, reliability
from forgefield.trainers.uncertainty.training import fit_committee

__all__ = [
    "Calibration",
    "Committee",
    "Opinion",
    "Reliability",
    "calibrate",
    "fit_committee",
    "reliability",
]
