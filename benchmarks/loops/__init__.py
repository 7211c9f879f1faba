"""How well the loop guard tells loops from work."""
