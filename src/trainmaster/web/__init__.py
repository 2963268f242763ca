"""The page: one frame, plain ES modules over the public HTTP interface, nothing loaded from outside."""

from trainmaster.web.mount import mount

__all__ = ["mount"]
