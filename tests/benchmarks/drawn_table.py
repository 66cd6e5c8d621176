"""A table of learning curves that were made up: a smooth function of a few parameters, and noise."""

from __future__ import annotations

import math
import random

from benchmarks.table.curves import Recording, Table, Training
from harness.experiment.drawing import drawn_at_random
from harness.experiment.space import resolve
from harness.experiment.space_file import parse_space
from harness.records import Params

SPACE = {
    "family": "cnn",
    "depth": {"type": "int", "low": 1, "high": 2},
    "width": [8, 16],
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "optimizer": ["momentum", "adam"],
    "learning_rate": "auto",
    "augmentation": ["none", "flip"],
}
EPOCHS, IMAGES = 9, 1000
SCHEDULES = ("constant", "1-3-9", "one_cycle", "3-9")


def recording(configurations: int, seed: int = 0) -> Recording:
    draw, space = drawn_at_random(random.Random(seed)), parse_space(SPACE)
    return Recording(
        machine="none",
        data="",
        images=5000,
        validation=IMAGES,
        precision="float32",
        epochs=EPOCHS,
        space=SPACE,
        configurations=[resolve(space, draw)[0] for _ in range(configurations)],
    )


def quality(params: Params) -> float:
    """From 0 to 1."""
    rate = math.log10(float(params["learning_rate"])) + (2 if params["optimizer"] == "adam" else 1)
    return math.exp(-(rate**2)) * (1 - float(params["dropout"])) * (int(params["depth"]) + 1) / 3


def training(
    one: Recording, configuration: int, schedule: str = "constant", seed: int = 0, finite: bool = True
) -> Training:
    params = one.configurations[configuration]
    noise = random.Random(f"{configuration} {schedule} {seed}")
    right = [
        min(IMAGES, max(0, round(IMAGES * (quality(params) * epoch / (epoch + 1) + noise.gauss(0, 0.01)))))
        for epoch in range(1, EPOCHS + 1)
    ]
    seconds = [int(params["depth"]) * float(params["width"]) / 16 * noise.uniform(1, 1.1) for _ in right]
    return Training(
        configuration=configuration,
        schedule=schedule,
        seed=seed,
        right=right,
        loss=[1.0 if finite else None for _ in right],
        seconds=seconds,
        processor=seconds,
        compiling=[1.5, 1.5],
        multiply_adds=1e9,
    )


def trainings(one: Recording, seeds: int = 2) -> list[Training]:
    """Of all configurations with all schedules."""
    return [
        training(one, configuration, schedule, seed)
        for seed in range(seeds)
        for schedule in SCHEDULES
        for configuration in range(len(one.configurations))
    ]


def drawn_table(configurations: int = 20, seed: int = 0) -> Table:
    one = recording(configurations, seed)
    return Table.of(one, trainings(one))
