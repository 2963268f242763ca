"""How many workers each elastic task gets, one policy per file."""
