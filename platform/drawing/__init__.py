"""Figures: their look, and the curves and parity plots that several rooms draw."""
