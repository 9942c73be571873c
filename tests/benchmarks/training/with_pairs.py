"""PBE labels of rMD17's ethanol, and ours on 402 frames that have CCSD(T) labels, in one file.

    python tests/benchmarks/training/with_pairs.py rmd17_ethanol.npz OUT.npz

Δ-learning needs both labels of a geometry. `ethanol_pairs_pbe.npz` has PBE/def2-SVP of the first
250, the last 50 and the 102 next frames of the draw of seed 0 of ethanol_ccsd_t-train.npz, made by
`platform label pairs.xyz --method PBE/def2-SVP` (kcal/mol, Å).
"""

import argparse
from pathlib import Path

import numpy as np

PAIRS = Path(__file__).with_name("ethanol_pairs_pbe.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rmd17", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    with np.load(options.rmd17, allow_pickle=False) as one, np.load(PAIRS) as other:
        both = {name: np.concatenate([one[name], other[name]]) for name in ("R", "E", "F")}
        np.savez(options.out, z=one["z"], **both)
    print(f"{options.out}: {len(both['E'])} frames")


if __name__ == "__main__":
    main()
