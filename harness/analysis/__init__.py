"""Tables and summaries: pure functions of a study's state."""
