"""A trial trained again from its record, and compared with it."""
