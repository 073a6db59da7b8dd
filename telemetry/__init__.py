"""The model that agent and collector share; it imports neither side."""

__version__ = "0.1.0"
