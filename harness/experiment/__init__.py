"""Experiment files: parsed, checked, and the search space as data."""
