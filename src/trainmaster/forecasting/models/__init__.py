"""Forecasting models, one per file; `registry` names them."""
