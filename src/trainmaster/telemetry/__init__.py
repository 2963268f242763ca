"""Our own logs, and the clock."""
