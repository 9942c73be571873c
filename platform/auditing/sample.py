"""Which labels of a run are audited: suspects first, then a draw that a seed repeats.

Legend: `F` frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.labelers.labeler import ENERGY_ONLY
from forgefield.platform.auditing.limits import LIMITS
from forgefield.platform.planning.request import FolderIdentity
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.ledger import Ledger
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array, Configuration, Method, Molecule, Purpose, Tier
from forgefield.storage.settled_frames import from_stored
from forgefield.storage.units import KCAL_PER_MOL_PER_EV


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """All labels of one method in a run, and the places of those to check."""

    tier: Tier
    method: str
    frames: Frames
    places: Integers


def run_frames(folder: RunFolder) -> Frames:
    """Every settled label, those included that still wait for the store.

    The inbox is read first, so that a label on its way from one to the other is seen.
    """
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        waiting = from_stored(ledger.inbox())
    if not folder.frames.exists():
        return waiting
    packed = load_frames(folder.frames, purposes=tuple(Purpose))
    fresh = waiting.select(~np.isin(waiting.seq_F, packed.seq_F))
    return Frames.concatenate([packed, fresh])


def molecule_of(folder: RunFolder) -> Molecule:
    """The molecule that the folder was claimed for."""
    try:
        text = folder.request.read_text(encoding="utf-8")
        return FolderIdentity.model_validate_json(text).molecule.to_record()
    except (OSError, ValueError) as error:
        raise InputError(f"{folder.request} can't be read; the audit needs it.") from error


def drawn(folder: RunFolder, labels: int, tiers: Sequence[str], seed: int) -> list[Part]:
    """Up to `labels` suspects and `labels` others of each tier; `InputError` where there are none.

    Suspects are labels whose forces leave a sum or a torque that their method can't, or whose
    geometry isn't the one that was bought.
    """
    wanted, frames = known_tiers(tiers), run_frames(folder)
    parts = []
    for place, method in enumerate(frames.methods):
        own = frames.select(frames.method_F == place)
        if method.tier in wanted and len(own):
            places = _places(own, method, labels, seed)
            parts.append(Part(method.tier, method.name, own, places))
    if not parts:
        named = ", ".join(tier.value for tier in wanted)
        raise InputError(
            f"{folder.root} has no labels of {named} to audit yet; `platform status` shows what "
            "it bought."
        )
    return sorted(parts, key=lambda part: list(Tier).index(part.tier))


def known_tiers(names: Sequence[str]) -> tuple[Tier, ...]:
    """Tiers by name, also several with commas between; all for none."""
    words = [word.strip().lower() for name in names for word in name.split(",")]
    unknown = [word for word in words if word not in set(Tier)]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no tier. Choose from {', '.join(Tier)}.")
    return tuple(tier for tier in Tier if tier in words or not words)


def configuration(frames: Frames, place: int) -> Configuration:
    """The geometry of one frame."""
    atoms = frames.atoms_of(place)
    return Configuration(
        frames.molecules[frames.molecule_F[place]],
        tuple(int(number) for number in frames.numbers[atoms]),
        frames.positions_A3[atoms],
        int(frames.charge_F[place]),
        int(frames.multiplicity_F[place]),
    )


def residuals(frames: Frames) -> tuple[Array, Array]:
    """|Σ F| (kcal/mol/Å) and |Σ r×F| (kcal/mol) of stored forces, (F,); NaN without forces."""
    force_F, torque_F = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    for place in range(len(frames)):
        atoms = frames.atoms_of(place)
        forces_A3, positions_A3 = frames.forces_A3[atoms], frames.positions_A3[atoms]
        arms_A3 = positions_A3 - positions_A3.mean(axis=0)
        force_F[place] = np.linalg.norm(forces_A3.sum(axis=0))
        torque_F[place] = np.linalg.norm(np.cross(arms_A3, forces_A3).sum(axis=0))
    return force_F * KCAL_PER_MOL_PER_EV, torque_F * KCAL_PER_MOL_PER_EV


def foreign_geometries(frames: Frames) -> Integers:
    """Places of frames whose geometry isn't the one that the ledger's job named."""
    found = [configuration(frames, place).key() for place in range(len(frames))]
    known = hex_keys(frames.geometry_F)
    return np.flatnonzero([one != other for one, other in zip(found, known, strict=True)])


def _places(frames: Frames, method: Method, labels: int, seed: int) -> Integers:
    force_F, torque_F = residuals(frames)
    limits = LIMITS[method.tier]
    excess_F = np.fmax(force_F / limits.residual_force, torque_F / limits.residual_torque)
    absent = 0.0 if method.name.endswith(ENERGY_ONLY) else np.inf
    excess_F = np.nan_to_num(excess_F, nan=absent, posinf=np.inf)
    excess_F[foreign_geometries(frames)] = np.inf
    order = np.argsort(-excess_F, kind="stable")
    suspects = [int(place) for place in order if excess_F[place] > 1][:labels]
    dice = np.random.default_rng([seed, list(Tier).index(method.tier)])
    others = dice.choice(len(frames), size=min(labels, len(frames)), replace=False)
    return np.array(sorted({*suspects, *map(int, others)}), dtype=np.int64)
