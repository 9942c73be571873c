"""How things are said, whatever they are: numbers in words, who listens, panels and bars."""
