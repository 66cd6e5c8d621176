"""Run the `harness` command as a user would, and read its JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any


def harness(*arguments: str) -> str:
    """Standard output of a command; its progress goes to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout


def trial(study: str, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(harness("show", str(number), "--study", study, "--json"))
    return found


def on_test(study: str, number: int = 0) -> dict[str, Any]:
    """The evaluation of a trial's model on the test images, for which the study's test set is opened."""
    found: dict[str, Any] = json.loads(harness("confirm", study, str(number), "--as-is", "--json"))
    evaluation: dict[str, Any] = found["test"]
    return evaluation


def machine() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} × {model or platform.processor()}, Python {platform.python_version()}"
