"""Which node a worker goes to, one policy per file."""
