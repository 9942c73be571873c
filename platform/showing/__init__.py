"""What people see of a plan, a run and a rehearsal in a terminal."""
