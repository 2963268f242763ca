"""The parts of `trainmaster demo`: a private service, the tasks, watching them, and the picture."""
