"""Labelers that play another method: from a file at its price, or a cheap one posing as dear."""
