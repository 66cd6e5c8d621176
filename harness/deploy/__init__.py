"""Ship a model: export it, verify what was exported."""
