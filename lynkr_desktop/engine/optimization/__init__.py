"""Smaller prompts that say the same: named stages between the decision and the provider."""
