"""Rounds of train → explore → choose → label → settle, and the reasoned stop."""
