"""The stages of ASTEROID as data, their frames and weights, and how they are run."""
