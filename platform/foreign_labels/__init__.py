"""Labels that others made: files, units, levels of theory, and which geometries they share."""
