"""CCSD(T) energies and gradients, closed shell; numbers only on tensors it is given."""
