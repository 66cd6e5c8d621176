"""Metrics of one split: a function and a line here for each.

What is measured of the network itself stands beside them, since experiments may ask for both.
"""

from __future__ import annotations

from harness.metrics.metric import Metric
from harness.registry import registered

METRICS: dict[str, Metric] = registered(
    __name__,
    {
        "accuracy": "accuracy:ACCURACY",
        "loss": "loss:LOSS",
        "precision_macro": "macro:PRECISION_MACRO",
        "recall_macro": "macro:RECALL_MACRO",
        "f1_macro": "macro:F1_MACRO",
        "balanced_accuracy": "macro:BALANCED_ACCURACY",
        "top5_accuracy": "accuracy:TOP5_ACCURACY",
        "auroc_macro": "auroc:AUROC_MACRO",
    },
)
"""By name. The objective of a search is that of the validation split, `val_` and the name."""
MEASURES: dict[str, str] = {
    "parameters": "The number of the network's weights.",
    "latency_ms": "Milliseconds for one image through the compiled prediction, on this machine.",
}
"""What is known of a network before it is trained; less is better."""
VALIDATION = "val_"


def is_maximized(name: str) -> bool:
    """Whether larger values of an objective are better, unless an experiment says otherwise."""
    return name not in MEASURES and METRICS[name.removeprefix(VALIDATION)].maximize
