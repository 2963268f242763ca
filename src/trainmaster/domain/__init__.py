"""Values and rules of scheduling. Standard library only; nothing here performs input or output."""
