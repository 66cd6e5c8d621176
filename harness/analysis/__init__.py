"""Tables and summaries: pure views of a study's history."""
