"""What the benchmarks train: a fixed list of configurations, and the spaces that are searched."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.records import Params, Scalar

CHOSEN: list[dict[str, Scalar]] = [
    {"depth": 2, "width": 16, "dropout": 0.1, "l2": 1e-5, "optimizer": "adam", "learning_rate": 2e-3},
    {"depth": 3, "width": 32, "dropout": 0.2, "l2": 1e-4, "optimizer": "adam", "learning_rate": 2e-3},
    {"depth": 3, "width": 16, "dropout": 0.0, "l2": 1e-4, "optimizer": "momentum", "learning_rate": 2e-2},
    {"depth": 1, "width": 32, "dropout": 0.3, "l2": 1e-6, "optimizer": "adam", "learning_rate": 5e-3},
    {"depth": 3, "width": 32, "dropout": 0.3, "l2": 1e-5, "optimizer": "adam", "learning_rate": 1e-3},
    {"depth": 4, "width": 16, "dropout": 0.1, "l2": 1e-4, "optimizer": "adamw", "learning_rate": 2e-3},
    {"depth": 2, "width": 32, "dropout": 0.2, "l2": 1e-3, "optimizer": "rmsprop", "learning_rate": 1e-3},
    {"depth": 3, "width": 16, "dropout": 0.0, "l2": 1e-5, "optimizer": "momentum", "learning_rate": 5e-2},
    {"depth": 2, "width": 16, "dropout": 0.4, "l2": 1e-4, "optimizer": "adam", "learning_rate": 1e-3},
    {"depth": 4, "width": 32, "dropout": 0.2, "l2": 1e-5, "optimizer": "adamw", "learning_rate": 5e-4},
]
"""Of the `cnn` family: ten configurations, of which several differ in numbers only."""

CONFIGURATIONS: list[Params] = [complete({"family": "cnn", "batch_size": 64, **one}) for one in CHOSEN]

_SPACE = {
    "family": "cnn",
    "depth": {"type": "int", "low": 1, "high": 4},
    "width": [16, 32, 48, 64],
    "batch_norm": [True, False],
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "l2": {"type": "float", "low": 1e-6, "high": 1e-3, "log": True},
    "optimizer": ["momentum", "nesterov", "rmsprop", "adam", "adamw"],
    "learning_rate": "auto",
    "batch_size": 64,
}
SPACES: dict[str, dict[str, object]] = {
    # Mirrored digits are not digits.
    "digits": _SPACE,
    "cifar10": _SPACE | {"augmentation": ["none", "flip"]},
}
"""By workload, as experiment files write them."""
WORKLOADS = tuple(SPACES)


def datasets(images: Path | None, limit: int, only: Collection[str] = WORKLOADS) -> dict[str, DatasetConfig]:
    """The workloads by name, as far as they are wanted: the digits, and `limit` of the images in a folder.

    Without a folder there are only the digits.
    """
    found = {"digits": DatasetConfig(source="digits")}
    if images is not None:
        found["cifar10"] = DatasetConfig(source=str(images.absolute()), limit_train=limit)
    wanted = {name: config for name, config in found.items() if name in only}
    if not wanted:
        raise SystemExit("cifar10 needs a folder of images; name it.")
    return wanted
