"""Virtual time for the real service and real training (docs/adr/0013-virtual-time.md)."""
