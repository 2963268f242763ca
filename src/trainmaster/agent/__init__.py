"""The program on a node: it starts, watches and stops runs, captures their logs and measures the node."""
