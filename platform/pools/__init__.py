"""Configurations of a run: sampled, shared between runs or read from files, once for all."""
