"""A small web shop for books."""

__version__ = "2.4.1"
