"""The few painted widgets that Qt does not have, each with keyboard handling and an accessible name."""
