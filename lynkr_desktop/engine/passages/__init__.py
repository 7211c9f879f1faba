"""Passages that the engine puts into prompts of its own accord, before what a person asks."""
