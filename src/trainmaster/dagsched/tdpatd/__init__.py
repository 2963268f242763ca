"""TDPATD: partition, duplicate on the quotient graph, map back, deduplicate.

Huang, Shi, Xiao, Chen & Li, "A large-scale task scheduling algorithm based on clustering and duplication",
J. Smart Environ. Green Comput. 1 (2021) 202–217.
"""

from trainmaster.dagsched.tdpatd.stages import b_deduplication, tdpatd

__all__ = ["b_deduplication", "tdpatd"]
