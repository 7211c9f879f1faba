"""Judges the shortening of prompts: what it saves, what it loses, what it costs beside prompt caches."""
