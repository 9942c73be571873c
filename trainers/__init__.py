"""Graphs, models, losses, stages, fitting, evaluation: plain torch, no cluster."""
