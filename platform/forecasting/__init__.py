"""The error that labels will bring: an error model, its posterior, and what follows from it."""
