"""Molecular graphs: neighbours in slots, and batches cut from flat arrays."""

from forgefield.trainers.graphs.graph import Batch, Graph
from forgefield.trainers.graphs.graph_set import GraphSet

__all__ = ["Batch", "Graph", "GraphSet"]
