"""Data sets: found, audited, decoded once, split."""
