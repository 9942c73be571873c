"""Labels bought over Ray within the budget: policies, dispatcher, workers, the ledger service."""
