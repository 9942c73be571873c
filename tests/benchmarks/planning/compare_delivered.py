"""A compared campaign as a user gets it: its labels, and the mean of several networks on them.

    python tests/benchmarks/planning/compare_delivered.py compare/ethanol-0 ethanol 180 --members 3

`compare.py` trains one network in every arm, so that only labels differ. Here the chosen stages of
a finished campaign are trained again from other weights, and the mean of all is tested on the same
frames. `--arm fixed` does the same for the fixed split.
"""
