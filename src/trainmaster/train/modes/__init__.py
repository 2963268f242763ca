"""Ways of training together."""
