"""Configuration: one schema, one loader, one immutable snapshot."""
