"""What the service says about itself: one line per event, readable at a terminal, JSON in a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog


def configure(file: Path | None, level: str = "info") -> None:
    """Log to `file` as JSON lines, or to standard error if None."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    if file is None:
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        renderer: list[structlog.types.Processor] = [console]
        stream = sys.stderr
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        stream = file.open("a", buffering=1, encoding="utf-8")
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=stream, level=max(number, logging.WARNING), format="%(message)s", force=True)
