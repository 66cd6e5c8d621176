"""The same sweep as `harness`, with workers that Ray places: a cluster at RAY_ADDRESS, or one of its own."""

from __future__ import annotations

import os

from benchmarks.arms.fixed import harness

if __name__ == "__main__":
    address = os.environ.get("RAY_ADDRESS")
    harness.main("--engine", "ray", *(["--ray-address", address] if address else []))
