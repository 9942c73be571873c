"""Force fields that need no network of ours: sGDML, Δ-learning, published potentials."""
