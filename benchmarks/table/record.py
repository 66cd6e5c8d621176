"""Record learning curves of the space of `time_to_accuracy`, once, for searches to be simulated on.

    python -m benchmarks.table.record path/to/cifar10-images --hours 6

80 configurations drawn from the space train for 9 epochs each, on 5,000 CIFAR-10 images in bfloat16, with
2,000 more for validation: with a constant rate, with two ladders of cycles that end at the rungs of the
brackets of a Hyperband with reduction 3 (epochs 1, 3, 9 and 3, 9), and with one cycle over all; the 20 best
with two more seeds. Two processes train, each with one thread. Every training is appended to the file, and
made durable, when it has ended; whoever is cut off calls again and goes on. The order makes any beginning of
it useful: all configurations with one schedule, then with the next, then more seeds.

`--ladders 1-2-4-9` records further ladders after all that. `--limit` trains the first few configurations
only, for trying. A file is gone on with only where all that decides the curves is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.command import machine
from benchmarks.configurations import SPACES
from benchmarks.runs import prepared
from benchmarks.table.curves import (
    CONSTANT,
    FILE,
    ONE_CYCLE,
    Recording,
    Training,
    cycles_of,
    line_of,
    read,
)
from harness.engine.environment import SAFE_PATH, worker_environment
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.drawing import drawn_at_random
from harness.experiment.space import resolve
from harness.experiment.space_file import parse_space
from harness.paths.durable import sync_folder
from harness.records import Dataset, Params

SCHEDULES = (CONSTANT, "1-3-9", ONE_CYCLE, "3-9")
"""In the order in which they are recorded: by the first two, harness can be compared with other tools."""
EPOCHS = 9
CONFIGURATIONS = 80
BEST = 20
SEEDS = (0, 1, 2)
"""All configurations are trained with the first of them, the best with the others too."""
PROCESSES = 2
RENEWED = 20
"""Trainings after which a process is replaced by a fresh one, with nothing in its memory."""
Key = tuple[int, str, int]
"""Configuration, schedule, seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", type=Path, help="a folder of images")
    parser.add_argument("--hours", type=float, default=6, help="after which it ends, whatever is left")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS, help="to draw")
    parser.add_argument("--limit", type=int, default=None, help="how many of them to train, the first ones")
    parser.add_argument("--images", type=int, default=5_000, help="to train on")
    parser.add_argument("--validation", type=int, default=2_000, help="images to validate with")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--ladders", nargs="+", default=[], help="more of them, such as 1-2-4-9")
    options = parser.parse_args()

    deadline = time.monotonic() + 3600 * options.hours
    for ladder in options.ladders:
        cycles_of(ladder, EPOCHS)
    whole = options.images + options.validation
    dataset = prepared(
        DatasetConfig(
            source=str(options.source.absolute()),
            limit_train=whole,
            validation_fraction=options.validation / whole,
        )
    )
    recording = Recording(
        machine=machine(),
        data=dataset.digest,
        images=dataset.counts["train"],
        validation=dataset.counts["validation"],
        precision=options.precision,
        epochs=EPOCHS,
        space=SPACES["cifar10"],
        configurations=draw(options.configurations),
    )
    plan = Plan(range(options.configurations)[: options.limit], tuple(options.ladders))
    recorder = Recorder(options.out, recording, dataset, plan)
    recorder.go_on()
    recorder.run(deadline)


def draw(number: int) -> list[Params]:
    """The configurations: the first ones are the same, however many are drawn."""
    draw_one = drawn_at_random(random.Random("benchmarks.table"))
    space = parse_space(SPACES["cifar10"])
    return [resolve(space, draw_one)[0] for _ in range(number)]


@dataclass(slots=True)
class Plan:
    """What is trained next."""

    configurations: Sequence[int]
    ladders: tuple[str, ...] = ()
    """Recorded after all else."""
    done: dict[Key, Training] = field(default_factory=dict)
    running: set[Key] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Trainings in all."""
        best = min(BEST, len(self.configurations)) * (len(SEEDS) - 1)
        return (len(SCHEDULES) + len(self.ladders)) * (len(self.configurations) + best)

    def next(self) -> Key | None:
        """The first that nobody has trained or trains; None if there is none for now, or at all."""
        first = SEEDS[0]
        everything = [(one, schedule, first) for schedule in SCHEDULES for one in self.configurations]
        if all(key in self.done for key in everything):
            best = self.best()
            everything += [
                (one, schedule, seed) for seed in SEEDS[1:] for schedule in SCHEDULES for one in best
            ]
            everything += [(one, ladder, first) for ladder in self.ladders for one in self.configurations]
            everything += [
                (one, ladder, seed) for seed in SEEDS[1:] for ladder in self.ladders for one in best
            ]
        return next((key for key in everything if key not in self.done and key not in self.running), None)

    def best(self) -> list[int]:
        """The configurations that reach the most with any of the schedules and the first seed."""

        def reached(one: int) -> int:
            return max(self.done[one, schedule, SEEDS[0]].right[-1] for schedule in SCHEDULES)

        return sorted(self.configurations, key=lambda one: (-reached(one), one))[:BEST]

    @property
    def is_over(self) -> bool:
        return not self.running and self.next() is None


@dataclass(slots=True)
class Recorder:
    """Has the plan trained by processes, and writes down what they find."""

    file: Path
    recording: Recording
    dataset: Dataset
    plan: Plan
    _changed: threading.Condition = field(default_factory=threading.Condition)
    """Held by whoever looks at the plan or changes it."""
    _processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    _is_over: bool = False
    _failure: str = ""
    """Why a process has ended that should not have, in a sentence."""

    def go_on(self) -> None:
        """Take over what the file holds, or begin it; a line that was cut off is removed.

        Raises:
            SystemExit: it was recorded in another way.
        """
        text = self.file.read_bytes() if self.file.exists() else b""
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self.file, whole)
        if not whole:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._append(line_of(self.recording))
            sync_folder(self.file.parent)
            return
        earlier, trainings = read(self.file)
        if replace(earlier, machine=self.recording.machine) != self.recording:
            mine, theirs = asdict(self.recording), asdict(earlier)
            other = ", ".join(name for name in mine if name != "machine" and mine[name] != theirs[name])
            raise SystemExit(f"{self.file} was recorded with other settings ({other}): choose another --out.")
        if earlier.machine != self.recording.machine:
            print(f"Earlier seconds in it were measured elsewhere, on {earlier.machine}.", file=sys.stderr)
        self.plan.done |= {training.key: training for training in trainings}
        print(f"{self.file} has {len(trainings)} trainings already.", file=sys.stderr)

    def run(self, deadline: float) -> None:
        """Train until all is done or the time is over.

        Raises:
            SystemExit: a process has failed.
        """
        threads = [threading.Thread(target=self._serve, args=(worker,)) for worker in range(PROCESSES)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
                time.sleep(0.2)
        except KeyboardInterrupt:
            self._failure = "Interrupted. What was recorded is kept; the same command goes on."
        finally:
            with self._changed:
                self._is_over = True
                for process in self._processes.values():
                    process.kill()
                self._changed.notify_all()
            for thread in threads:
                thread.join()
        if self._failure:
            raise SystemExit(self._failure)
        left = self.plan.total - len(self.plan.done)
        print(f"{len(self.plan.done)} trainings are recorded, {max(0, left)} are left.", file=sys.stderr)

    def _serve(self, worker: int) -> None:
        """Keep one process busy until nothing is left for it."""
        served = 0
        while (key := self._take()) is not None:
            if served % RENEWED == 0 and not self._renew(worker):
                return
            served += 1
            found = self._ask(self._processes[worker], key)
            with self._changed:
                self.plan.running.discard(key)
                if found is None:
                    if not self._is_over:
                        self._failure = (
                            f"The process that trained {key} has ended; what it said stands above."
                        )
                        self._is_over = True
                else:
                    self.plan.done[key] = found
                    self._append(line_of(found))
                self._changed.notify_all()
            if found is None:
                return
            self._tell(found)
        with self._changed:
            if (process := self._processes.get(worker)) is not None:
                process.kill()

    def _take(self) -> Key | None:
        """What is to be trained next, when it is known; None: nothing any more."""
        with self._changed:
            while not self._is_over and not self.plan.is_over:
                if (key := self.plan.next()) is not None:
                    self.plan.running.add(key)
                    return key
                self._changed.wait()
            return None

    def _renew(self, worker: int) -> bool:
        """A fresh process in place of the worker's; False if none is needed any more."""
        with self._changed:
            if self._is_over:
                return False
            if (earlier := self._processes.pop(worker, None)) is not None:
                earlier.kill()
                earlier.wait()
            self._processes[worker] = started(worker, self.dataset, self.recording)
            return True

    def _ask(self, process: subprocess.Popen[str], key: Key) -> Training | None:
        """Have a process train; None if it has ended."""
        configuration, name, seed = key
        schedule, cycles = cycles_of(name, EPOCHS)
        params = self.recording.configurations[configuration] | {"schedule": schedule}
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"params": params, "cycles": cycles, "seed": seed}) + "\n")
            process.stdin.flush()
        except OSError:
            return None
        line = process.stdout.readline()
        if not line.endswith("\n"):
            return None
        return Training(configuration=configuration, schedule=name, seed=seed, **json.loads(line))

    def _append(self, line: str) -> None:
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(line)
            lines.flush()
            os.fsync(lines.fileno())

    def _tell(self, found: Training) -> None:
        accuracy = found.right[-1] / self.recording.validation
        seconds, processor = sum(found.seconds), sum(found.processor)
        print(
            f"{len(self.plan.done)} of {self.plan.total}: configuration {found.configuration}, "
            f"{found.schedule}, seed {found.seed}: {accuracy:.4f} in {seconds:.1f} s "
            f"({processor:.1f} s of the processor; before them {found.compiling[0]:.1f} s, "
            f"{found.compiling[1]:.1f} s)",
            file=sys.stderr,
        )


def started(worker: int, dataset: Dataset, recording: Recording) -> subprocess.Popen[str]:
    """A process that waits for configurations to train."""
    process = subprocess.Popen(
        [sys.executable, *SAFE_PATH, "-m", "benchmarks.arms.learning_curve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(worker, 1, []) | {"PYTHONPATH": str(Path.cwd())},
        text=True,
    )
    task: dict[str, Any] = {
        "threads": 1,
        "dataset": asdict(dataset),
        "epochs": recording.epochs,
        "precision": recording.precision,
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(task) + "\n")
    process.stdin.flush()
    return process


if __name__ == "__main__":
    main()
