"""What the stored labels say of themselves: extremes, and outliers worth a look."""

from collections.abc import Callable

import numpy as np

from forgefield.platform.auditing.documents import Diagnostics, Flag
from forgefield.platform.auditing.limits import LARGEST_T1, LIMITS, T1_SOURCE
from forgefield.platform.auditing.sample import Part, residuals
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.records import Array


def diagnostics_of(part: Part) -> Diagnostics:
    """Extremes over all labels of a method, means of the iterations."""
    force_F, torque_F = residuals(part.frames)
    value = part.frames.diagnostic
    return Diagnostics(
        residual_force=_reduced(np.max, force_F),
        residual_torque=_reduced(np.max, torque_F),
        t1=_reduced(np.max, value("t1")),
        gap=_reduced(np.min, value("gap_eV")),
        scf_iterations=_reduced(np.mean, value("scf_iterations")),
        cc_iterations=_reduced(np.mean, value("cc_iterations")),
        lambda_iterations=_reduced(np.mean, value("lambda_iterations")),
        remedies=int((value("scf_remedy") > 0).sum()),
    )


def flags_of(part: Part) -> list[Flag]:
    """Large T1, tiny gaps, forces that don't sum to zero: each label, and why."""
    force_F, torque_F = residuals(part.frames)
    limits, value = LIMITS[part.tier], part.frames.diagnostic
    t1_F, gap_F = value("t1"), value("gap_eV")
    sources = (
        (t1_F, t1_F > LARGEST_T1, f"T1 = {{}} above {LARGEST_T1} ({T1_SOURCE})"),
        (gap_F, gap_F < limits.gap, f"a gap of {{}} eV below {limits.gap}"),
        (force_F, force_F > limits.residual_force, "forces leave a sum of {} kcal/mol/Å"),
        (torque_F, torque_F > limits.residual_torque, "forces leave a torque of {} kcal/mol"),
    )
    return [
        Flag(
            seq=int(part.frames.seq_F[place]),
            tier=part.tier,
            reason=words.format(three_digits(float(values_F[place]))),
        )
        for values_F, wanted_F, words in sources
        for place in np.flatnonzero(wanted_F)
    ]


def _reduced(how: Callable[[Array], float], values_F: Array) -> float | None:
    known_F = values_F[np.isfinite(values_F)]
    return float(how(known_F)) if len(known_F) else None
