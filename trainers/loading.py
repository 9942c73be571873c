"""Opening what training left: one force field, or a committee whose mean is one.

Both predict energies (F,) eV and forces (A, 3) eV/Å for frames, say in `metadata` what they
imitate, and list their `members`.
"""

from pathlib import Path

from forgefield.trainers.force_field import ForceField
from forgefield.trainers.uncertainty.committee import DESCRIPTION, Committee


def load_force_field(folder: Path, *, device: str = "cpu") -> ForceField | Committee:
    """Read a saved folder of either kind; `InputError` where it holds neither."""
    if (folder / DESCRIPTION).exists():
        return Committee.load(folder, device=device)
    return ForceField.load(folder, device=device)
