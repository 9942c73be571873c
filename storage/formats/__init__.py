"""Frames in the file formats of other programs: one file a format, in and out."""
