"""Actions an agent may carry out on its segment, one module each, each with its undo."""
