"""Frames of a run or a data set: in, out, split, taken back."""
