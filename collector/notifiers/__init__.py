"""Notifiers, one module a destination; the file name is the type in the configuration."""
