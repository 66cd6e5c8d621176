"""Trackers keep MLflow, Optuna's storage and further stores up to date with a study's event log."""
