"""A package manager for small embedded Linux images."""

__version__ = "0.9.2"
