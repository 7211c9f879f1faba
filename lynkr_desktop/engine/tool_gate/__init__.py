"""Holds a model's tool calls on their way to an agent until it is known that they may run."""
