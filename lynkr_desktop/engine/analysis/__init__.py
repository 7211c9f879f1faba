"""The structure of code: an index of a workspace by tree-sitter, and four metrics over it."""
