"""`platform audit`: the labels of a run, recomputed and differentiated on this machine.

Nothing of the run is changed and nothing is spent from its budget: ledger and frames are opened
for reading only. Hold-out labels are audited like all others; no model learns of it.
"""
