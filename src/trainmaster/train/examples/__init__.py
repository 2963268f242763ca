"""Training programs to try Trainmaster with. They need the extra `demo`."""
