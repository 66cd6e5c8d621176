"""Values that replace those of an experiment file, as `harness.experiment.load.load` takes them."""

from __future__ import annotations

import json
from typing import Any

from harness.errors import UsageError

OPTIONS = {
    "dataset": "dataset.source",
    "epochs": "training.epochs",
    "trials": "search.trials",
    "timeout": "search.timeout",
    "target": "search.target",
    "patience": "search.patience",
    "min_gain": "search.min_gain",
    "max_epochs_total": "search.max_epochs_total",
    "ordered": "search.ordered",
}
"""Keys of an experiment file that have an option of their own, by the option's name."""
NO_LIMIT = "none"
"""What lifts a limit."""


def override(key: str, value: Any) -> str:
    """`key=value`, the value in JSON, which is YAML, and quotes text whatever it looks like.

    Raises:
        UsageError: the value is none that an experiment file can hold.
    """
    try:
        return f"{key}={json.dumps(value, ensure_ascii=False, allow_nan=False)}"
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{key} is {value!r}, which an experiment file cannot hold. It takes numbers, texts, true and "
            "false, None, and lists and dictionaries of these."
        ) from error


def options(**given: Any) -> list[str]:
    """Overrides for those of the `OPTIONS` that were given.

    Args:
        given: values by the option's name; None where it was not given, `NO_LIMIT` where there is to be none.
    """
    return [
        override(OPTIONS[name], None if value == NO_LIMIT else value)
        for name, value in given.items()
        if value is not None
    ]
