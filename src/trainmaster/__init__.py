"""Trainmaster schedules and runs training tasks, timed tasks and task graphs."""

__version__ = "0.1.0"
