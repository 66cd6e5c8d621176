"""What was measured on this machine before, so that it is measured but once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from harness.errors import HarnessError
from harness.gpus import gpu_models
from harness.machine import CPUINFO, processor_name, usable_cores
from harness.paths import calibration_file, make_folder, write_text


def machine(gpus: Sequence[str]) -> str:
    """What every measurement depends on: the processor, the cores, the GPUs, TensorFlow's version."""
    version, models = metadata.version("tensorflow"), ", ".join(gpu_models()[0])
    about = f"{len(gpus)} ({models})" if models else f"{len(gpus)}"
    return f"{processor_name(CPUINFO)} cores={usable_cores()} gpus={about} tensorflow={version}"


def recall(beginning: str) -> dict[str, dict[str, float]]:
    """What is remembered, the latest last.

    Args:
        beginning: of its keys.

    Returns:
        Figures by name, of each key. What is damaged or has no figure above 0 is left out: it is measured
        again.
    """
    found = {}
    for key, figures in _read().items():
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            numbers = {name: float(figure) for name, figure in figures.items()}
            if key.startswith(beginning) and any(number > 0 for number in numbers.values()):
                found[key] = numbers
    return found


def remember(key: str, figures: dict[str, float]) -> None:
    """Keep figures for later; where that cannot be done, they are measured again the next time."""
    file = calibration_file()
    with contextlib.suppress(OSError, HarnessError):
        make_folder(file.parent)
        others = {name: value for name, value in _read().items() if name != key}
        write_text(file, json.dumps(others | {key: figures}, indent=1))


def _read() -> dict[str, Any]:
    try:
        read = json.loads(calibration_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
