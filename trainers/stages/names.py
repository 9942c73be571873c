"""Names of the ladder's stages as people read them: `finetune-c-1-xtb-dft-1` is a folder."""

import re

_MEMBER = re.compile(r"(?P<stage>.+)-member-(?P<place>\d+)")
_ACCURATE = re.compile(r"(?P<kind>standard|finetune)(?:-(?P<way>.+))?-(?P<fraction>[\d.]+)")
_PRETRAIN = re.compile(r"pretrain-(?P<way>.+)")
_WORDS = {"standard": "standard training", "finetune": "fine-tuning"}


def in_words(name: str) -> str:
    """`fine-tuning after xtb, dft (c 1)`; what the ladder doesn't name stays as it is."""
    if member := _MEMBER.fullmatch(name):
        return f"network {int(member['place']) + 1}: {in_words(member['stage'])}"
    if found := _PRETRAIN.fullmatch(name):
        return f"pre-training on {_way(found['way'])}"
    found = _ACCURATE.fullmatch(name)
    if found is None:
        return name
    after = f" after {_way(found['way'])}" if found["way"] else ""
    part = float(found["fraction"])
    return (
        f"{_WORDS[found['kind']]}{after}{f', {100 * part:g} % of the labels' if part < 1 else ''}"
    )


def _way(text: str) -> str:
    """`unweighted-xtb-dft` as `xtb, dft`; `c-1-xtb` as `xtb (c 1)`."""
    tiers, said = [], []
    words = iter(text.split("-"))
    for word in words:
        if word == "c":
            said.append(f"c {next(words, '')}")
        elif word == "scores":
            said.append("scores")
        elif word != "unweighted":
            tiers.append(word)
    return ", ".join(tiers) + (f" ({', '.join(said)})" if said else "")
