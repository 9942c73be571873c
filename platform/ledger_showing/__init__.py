"""`platform ledger`: a run's books as people read them."""
