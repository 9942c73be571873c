"""Records, units, errors, the cost ledger and the frame store: what every other room shares.

This room imports no other room. Energies are eV, forces eV/Å, lengths Å, money integer
micro core-seconds (see `forgefield.storage.units`).
"""
