"""Time rules: from a rule to its due times, and what becomes of those that come late."""
