"""An acyclic multilevel partitioner in the manner of dagP."""

from trainmaster.dagsched.dagp.recursive import Partition, partition

__all__ = ["Partition", "partition"]
