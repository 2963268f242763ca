"""What gives us nodes and carries calls to their agents."""
