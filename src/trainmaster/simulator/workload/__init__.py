"""Where simulated tasks come from, one source per file."""
