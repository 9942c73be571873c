"""The choices of a rehearsal; apart from what they mean, so that the command line loads quickly."""

from enum import StrEnum


class Lead(StrEnum):
    """The tier whose method poses as the target's."""

    XTB = "xtb"
    DFT = "dft"


class Length(StrEnum):
    """How long a rehearsal trains: the recipe's steps once, or as long as the real run does."""

    SHORT = "short"
    QUOTED = "quoted"


class Prices(StrEnum):
    """What a posing label is charged: what the plan quotes for the real one, or what it takes."""

    QUOTED = "quoted"
    OWN = "own"
