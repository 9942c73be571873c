"""The tables of ASTEROID (arXiv 2306.03109): what is asked, trained and measured for their rows."""
