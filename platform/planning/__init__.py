"""From a molecule and a budget to a plan: prices, quotes, what is bought in which order."""
