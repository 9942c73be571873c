"""What people see of a benchmark: tables, notes and plots, from its results alone."""
