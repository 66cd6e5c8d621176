"""A study on disk: its event log, what that says, its lock, its names, its files."""
