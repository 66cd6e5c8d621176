"""Views of the event log elsewhere: MLflow and Optuna's storage."""
