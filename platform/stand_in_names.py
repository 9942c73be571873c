"""Names of methods that stand in for others, so that nobody takes their labels for real ones.

`PBE/def2-SVP, replayed` is read from a file; `GFN2-xTB, posing as CCSD(T)/cc-pVDZ, frozen core` is
computed by the first method where the second belongs. No real method has such a name, so a label
of either kind never answers a job of a real campaign, and the label book takes neither.
"""

from forgefield.labelers.registry import labeler_for
from forgefield.storage.records import Tier

REPLAYED = ", replayed"
POSING = ", posing as "
LONGEST_NAME = 200


def replayed_name(method: str) -> str:
    """The name of a method's labels that come from a file."""
    return " ".join(method.split()).removesuffix(REPLAYED) + REPLAYED


def posing_name(actor: str, role: str) -> str:
    """The name of `actor` where `role` belongs."""
    return f"{actor}{POSING}{role}"


def is_replayed(name: str) -> bool:
    """Whether labels of this method come from a file at a stated price."""
    return name.endswith(REPLAYED)


def is_posing(name: str) -> bool:
    """Whether one method poses as another."""
    return POSING in name


def is_real(name: str) -> bool:
    """Whether labels of this method are what they are called, and cost what they cost."""
    return not (is_replayed(name) or is_posing(name))


def cast_of(name: str) -> tuple[str, str]:
    """Actor and role of a posing name."""
    actor, _, role = name.partition(POSING)
    return actor, role


def at_its_tier(name: str, tier: str) -> str:
    """A method's name in its one spelling; raises `ValueError` where it has no place at `tier`."""
    if is_replayed(name):
        return _short(replayed_name(name))
    if is_posing(name):
        actor, role = cast_of(name)
        return posing_name(_trainable(actor), at_its_tier(role, tier))
    own, found = _trainable(name), Tier(labeler_for(name).method.tier)
    if found != tier:
        raise ValueError(f"{own} is a method of the tier {found}")
    return own


def _trainable(name: str) -> str:
    labeler = labeler_for(name)
    if labeler.energy_only:
        raise ValueError(f"campaigns train on forces, and {labeler.method.name} has none")
    return labeler.method.name


def _short(name: str) -> str:
    if not LONGEST_NAME >= len(name) > len(REPLAYED):
        raise ValueError(f"a method's name has 1 to {LONGEST_NAME} characters")
    return name
