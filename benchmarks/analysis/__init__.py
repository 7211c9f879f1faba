"""How right and how fast the analysis of code is."""
