"""Forecasting and sizing measured: `python -m benchmarks.forecast`."""
