"""Running a planned graph of Python functions on local processes. An edge: it starts processes."""

from trainmaster.dagsched.execution.lanes import Execution, Lanes, execute

__all__ = ["Execution", "Lanes", "execute"]
