"""Rules that open alarms, and channels that carry them to people. Pure decisions in `rules`."""
