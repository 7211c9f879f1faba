"""How each language is read: one file per language, filled into one extractor."""
