"""Which configurations to label next: where they come from, which are taken, and if it paid."""
