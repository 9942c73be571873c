"""Frames for training: batches from memory or from disk, for our trainers and others."""
