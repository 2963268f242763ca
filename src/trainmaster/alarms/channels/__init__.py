"""Ways out: each sends one message, or raises a typed error."""
