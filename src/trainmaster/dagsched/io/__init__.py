"""Task graphs in and out of files and other libraries' objects, one format per module."""

from trainmaster.dagsched.io.files import FORMATS, format_of, read_graph, write_graph

__all__ = ["FORMATS", "format_of", "read_graph", "write_graph"]
