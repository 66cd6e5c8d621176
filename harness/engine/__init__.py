"""Engines: what starts workers and carries segments to them."""
