"""Rehearsals: a whole plan with cheap methods posing as dear ones, and what its quote was worth."""
