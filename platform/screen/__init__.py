"""What a terminal shows: words, panels, bars."""
