"""Errors of forecasting. Each carries the fields that caused it and names the remedy."""

from __future__ import annotations


class ForecastError(ValueError):
    """Base of every error raised by `trainmaster.forecasting`."""


class EmptySeries(ForecastError):
    """A series without a single finite value."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        super().__init__(
            f"the series holds no finite value ({rows} rows); supply at least one observed value"
        )


class TooShort(ForecastError):
    """A model needs more history than there is."""

    def __init__(self, model: str, have: int, need: int) -> None:
        self.model, self.have, self.need = model, have, need
        super().__init__(
            f"{model} needs {need} observed values and has {have}; "
            "supply more history or choose the model 'persistence'"
        )


class NegativeValue(ForecastError):
    """A count or volume below zero."""

    def __init__(self, row: int, value: float) -> None:
        self.row, self.value = row, value
        super().__init__(
            f"row {row} holds {value:g}, but a volume of tasks cannot be negative; "
            "correct the row, or blank it to have it treated as a gap"
        )


class NotFinite(ForecastError):
    """An infinite value. (NaN is allowed: it marks a gap.)"""

    def __init__(self, row: int, value: float) -> None:
        self.row, self.value = row, value
        super().__init__(f"row {row} holds {value}; blank the row to have it treated as a gap")


class DuplicateTimestamp(ForecastError):
    """Two values for one moment, and no rule for joining them."""

    def __init__(self, row: int, stamp: str) -> None:
        self.row, self.stamp = row, stamp
        super().__init__(
            f"row {row} repeats the timestamp {stamp}; "
            "choose duplicates='sum', 'mean' or 'last', or remove one of the rows"
        )


class IrregularSpacing(ForecastError):
    """Timestamps that do not lie on one grid."""

    def __init__(self, row: int, gap_s: float, step_s: float) -> None:
        self.row, self.gap_s, self.step_s = row, gap_s, step_s
        super().__init__(
            f"row {row} comes {gap_s:g} s after its predecessor, which is no multiple of the usual "
            f"{step_s:g} s; count the rows as events with an interval, or resample them first"
        )


class BadRow(ForecastError):
    """A line of a table that cannot be read."""

    def __init__(self, line: int, text: str, expected: str) -> None:
        self.line, self.text, self.expected = line, text, expected
        super().__init__(f"line {line}: cannot read {text!r}; expected {expected}")


class UnknownZone(ForecastError):
    """A time zone name that the zone database does not hold."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        super().__init__(f"unknown time zone {zone!r}; use an IANA name such as 'UTC' or 'Europe/Paris'")


class UnknownModel(ForecastError):
    """A model name that is not in the registry."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(f"unknown model {name!r}; choose one of: {', '.join(known)}")


class MissingExtra(ForecastError):
    """A chosen model needs a package that the base installation leaves out."""

    def __init__(self, model: str, package: str) -> None:
        self.model, self.package = model, package
        super().__init__(f"{model} needs {package}; install it with: pip install 'trainmaster[forecast]'")


class BadParameter(ForecastError):
    """A parameter outside its range."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        self.name, self.value, self.allowed = name, value, allowed
        super().__init__(f"{name} is {value!r}; it must be {allowed}")


class LeakFound(ForecastError):
    """A forecast changed when only its future was changed."""

    def __init__(self, model: str, row: int, before: float, after: float) -> None:
        self.model, self.row, self.before, self.after = model, row, before, after
        super().__init__(
            f"{model} uses the future: its forecast of row {row} moved from {before:g} to {after:g} "
            "when only values not yet known at its origin were changed; cut its inputs with Series.until"
        )
