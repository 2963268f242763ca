"""Every decision, as pure functions of what they are shown. The same objects drive life and simulation."""
