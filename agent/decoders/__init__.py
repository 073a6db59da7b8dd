"""Pure functions from bytes to records; no input or output."""
