"""Who comes first, one ordering per file."""
