"""Replies that were given before, for requests that are the same to the last byte that matters."""
