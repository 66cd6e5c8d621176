"""Learning curves that were recorded once: what configurations scored, and what they took, epoch by epoch.

They stand in a file of JSON lines: first what was recorded (`Recording`), then a line for each training. A
last line that was cut off counts for nothing.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from harness.experiment.parameters import complete
from harness.experiment.space import Space
from harness.experiment.space_file import parse_space
from harness.records import Annealing, Params, Precision

FILE = Path(__file__).parent / "cifar10.jsonl"
CONSTANT, ONE_CYCLE = "constant", "one_cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was recorded, and how."""

    machine: str
    data: str
    """SHA-256 (hex) of the images."""
    images: int
    """That an epoch trains on."""
    validation: int
    """That each epoch is evaluated with."""
    precision: Precision
    epochs: int
    """Of every training."""
    space: dict[str, Any]
    """That configurations were drawn from, as an experiment file writes it."""
    configurations: list[Params]
    """What the space decides of each; trainings name them by their places."""

    @property
    def parsed_space(self) -> Space:
        return parse_space(self.space)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of a configuration; each list has an entry an epoch."""

    configuration: int
    schedule: str
    """`constant`, `one_cycle`, or the epochs at which cycles end: `1-3-9`."""
    seed: int
    right: list[int]
    """Validation images that were classified rightly."""
    loss: list[float | None]
    """Validation loss; None where it is not finite."""
    seconds: list[float]
    """Of training and validation, on the wall."""
    processor: list[float]
    """The same in processor time: what it takes where nobody else uses the core."""
    compiling: list[float]
    """Seconds before the first epoch, on the wall and of the processor."""
    multiply_adds: float
    """Of an epoch, training and validation."""

    @property
    def key(self) -> tuple[int, str, int]:
        return self.configuration, self.schedule, self.seed


def cycles_of(schedule: str, epochs: int) -> tuple[str, tuple[int, ...]]:
    """The value of the parameter `schedule` that is meant, and where its cycles end."""
    if schedule in (CONSTANT, ONE_CYCLE):
        return schedule, ()
    ends = tuple(int(end) for end in schedule.split("-"))
    if list(ends) != sorted(set(ends)) or ends[-1] != epochs or ends[0] < 1:
        raise SystemExit(f"{schedule} is no ladder: write ascending epochs that end at {epochs}, as 1-3-9.")
    return "cycle_per_rung", ends


def schedule_name(schedule: str, cycles: Sequence[int]) -> str:
    """What the trainings are called that a configuration's schedule and a scheduler's cycles ask for."""
    if schedule != "cycle_per_rung":
        return schedule
    # One cycle over all is one that rises and falls once.
    return "-".join(map(str, cycles)) if len(cycles) > 1 else ONE_CYCLE


def read(file: Path) -> tuple[Recording, list[Training]]:
    """What was recorded so far.

    Raises:
        SystemExit: there is no such file, or nothing in it.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines:
        raise SystemExit(f"Nothing was recorded in {file}: `python -m benchmarks.table.record` does that.")
    recording = Recording(**json.loads(lines[0]))
    return recording, [Training(**json.loads(line)) for line in lines[1:]]


def line_of(record: Recording | Training) -> str:
    """A line of the file."""
    return json.dumps(asdict(record), separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class Curve:
    """One training, as a simulation uses it."""

    accuracies: tuple[float, ...]
    """Of validation, by epoch."""
    finite: tuple[bool, ...]
    """Whether the loss was, by epoch."""
    seconds: tuple[float, ...]
    """By epoch."""
    compile_seconds: float

    def at_rest(self, epoch: int, rungs: Sequence[int]) -> float:
        """The accuracy at an epoch, if a cycle had ended there as it does at each of `rungs`."""
        before = max((rung for rung in rungs if rung <= epoch), default=epoch)
        after = min((rung for rung in rungs if rung >= epoch), default=epoch)
        low, high = self.accuracies[before - 1], self.accuracies[after - 1]
        if before == after:
            return low
        return low + (high - low) * math.log(epoch / before) / math.log(after / before)

    def ending(self, epoch: int, accuracy: float) -> Curve:
        """The same with another accuracy at the epoch at which it ends."""
        return replace(self, accuracies=(*self.accuracies[: epoch - 1], accuracy))


@dataclass(frozen=True, slots=True)
class Table:
    """What a simulation is answered from."""

    recording: Recording
    space: Space
    complete: Mapping[int, Params]
    """All parameters, by configuration."""
    curves: Mapping[tuple[int, str], Sequence[Curve]]
    """By configuration and schedule: one for each seed that was trained."""
    schedules: tuple[str, ...]
    """Those that all configurations were trained with."""
    epoch_seconds: Mapping[int, float]
    """What an epoch takes, in the middle of all epochs of a configuration."""
    compile_seconds: Mapping[int, float]

    @classmethod
    def of(cls, recording: Recording, trainings: Iterable[Training], slower: float = 1.0) -> Table:
        """Of what was recorded so far.

        The recording may be unfinished: a schedule counts when it was trained with all configurations that
        any schedule was trained with.

        Args:
            recording: what was recorded.
            trainings: of it.
            slower: how many times as long as it took everything is to take.
        """
        found: dict[tuple[int, str], list[Curve]] = {}
        for one in sorted(trainings, key=lambda training: training.seed):
            curve = Curve(
                tuple(right / recording.validation for right in one.right),
                tuple(loss is not None for loss in one.loss),
                tuple(slower * seconds for seconds in one.processor),
                slower * one.compiling[1],
            )
            found.setdefault((one.configuration, one.schedule), []).append(curve)
        trained = Counter(schedule for _, schedule in found)
        most = max(trained.values(), default=0)
        schedules = tuple(schedule for schedule, number in trained.items() if number == most)
        if not schedules:
            raise SystemExit("Nothing has been trained in this recording yet.")
        curves = {key: own for key, own in found.items() if key[1] in schedules}
        by_configuration: dict[int, list[Curve]] = {}
        for (configuration, _), own in curves.items():
            by_configuration.setdefault(configuration, []).extend(own)
        return cls(
            recording,
            recording.parsed_space,
            {one: complete(recording.configurations[one]) for one in sorted(by_configuration)},
            curves,
            schedules,
            {
                one: median(seconds for curve in own for seconds in curve.seconds)
                for one, own in by_configuration.items()
            },
            {one: median(curve.compile_seconds for curve in own) for one, own in by_configuration.items()},
        )

    def trained(
        self, configuration: int, schedule: str, annealing: Annealing | None = None
    ) -> Sequence[Curve]:
        """The curves of a configuration, one a seed.

        No training was recorded that ends early, at any epoch and from any other. Its last accuracy is taken
        from a ladder of cycles, which comes to rest at each of its rungs: between two of them it is on the
        straight line over the logarithm of the epochs, and before the first it is that of the epoch itself.
        The ladder is the schedule's own, or else the first that was recorded, with the same seed; without
        any it is the schedule's accuracy at that epoch, which has not come to rest.

        Args:
            configuration: its place.
            schedule: as the file calls it.
            annealing: how trainings end early; None: they do not.

        Raises:
            SystemExit: the schedule was not recorded.
        """
        if (configuration, schedule) not in self.curves:
            raise SystemExit(
                f"The table has no curves for the schedule {schedule}, only for {', '.join(self.schedules)}. "
                "Choose another, or record it: --ladders of `python -m benchmarks.table.record`."
            )
        own = self.curves[configuration, schedule]
        if annealing is None:
            return own
        ladder = next((name for name in (schedule, *self.schedules) if "-" in name), None)
        if ladder is None:
            return own
        at_rest = self.curves[configuration, ladder]
        rungs = cycles_of(ladder, self.recording.epochs)[1]
        return [
            curve.ending(annealing.stop, at_rest[place % len(at_rest)].at_rest(annealing.stop, rungs))
            for place, curve in enumerate(own)
        ]

    def truth(
        self, configuration: int, schedule: str, epoch: int, annealing: Annealing | None = None
    ) -> float:
        """The accuracy of a configuration after an epoch: the mean over all seeds that were trained."""
        return fmean(
            curve.accuracies[epoch - 1] for curve in self.trained(configuration, schedule, annealing)
        )
