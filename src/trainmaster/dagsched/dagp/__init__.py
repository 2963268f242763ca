"""An acyclic multilevel partitioner in the manner of dagP."""

from trainmaster.dagsched.dagp.recursive import Partition, partition, parts_of_tasks

__all__ = ["Partition", "partition", "parts_of_tasks"]
