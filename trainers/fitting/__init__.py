"""Training one model on one set of frames: losses, steps, checkpoints. No stages, no Ray."""
