"""Labels for every frame of a structure file: `platform label`."""
