"""Molecules, sampling, and one file per labelling method."""
