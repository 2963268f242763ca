"""What training code imports. It stands alone: nothing else of Trainmaster is loaded with it."""

from trainmaster.train.report import report

__all__ = ["report"]
