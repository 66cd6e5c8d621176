"""What a person sees while a sweep runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOBase
from typing import IO, TYPE_CHECKING, Protocol, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness.cli import printable
from harness.records import EpochEnded, LogRecord, SegmentEnded, SegmentFailed, SegmentStarted, TrialEnded
from harness.sweep.history import best, best_of

if TYPE_CHECKING:
    from harness.sweep.coordinator import SweepPlan
    from harness.sweep.history import History, TrialHistory
    from harness.sweep.run import SweepResult

REFRESH_PER_SECOND = 4
PROGRESS_LINE_SECONDS = 5.0


class Display(Protocol):
    """A `harness.sweep.run.Watcher` that can also say how the sweep ended."""

    def progress(self, label: str, done: int, total: int) -> None: ...  # noqa: D102

    def note(self, message: str) -> None: ...  # noqa: D102

    def opened(self, history: History, plan: SweepPlan, workers: int) -> None: ...  # noqa: D102

    def follow(self, record: LogRecord) -> None: ...  # noqa: D102

    def ended(self, result: SweepResult) -> None: ...  # noqa: D102


class _Lasting(TextIOBase):
    """A stream that may lose its reader: a closed terminal, or the end of a pipe, must not end a sweep."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Its descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, as long as there is somebody to read it."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Likewise."""
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def open_display() -> Iterator[Display]:
    """The display that fits standard error; it lets go of the terminal at the end."""
    console = Console(file=cast("IO[str]", _Lasting(sys.stderr)), highlight=False, soft_wrap=True)
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        yield PlainDisplay()
        return
    display = LiveDisplay(console)
    try:
        yield display
    finally:
        display.close()


class PlainDisplay:
    """One line of text for each thing worth knowing."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._plan: SweepPlan | None = None
        self._segments: dict[int, SegmentEnded] = {}
        """The last one of each trial."""
        self._last_progress = 0.0

    def progress(self, label: str, done: int, total: int) -> None:
        """A line every few seconds, and one at the end."""
        if done >= total or time.monotonic() - self._last_progress > PROGRESS_LINE_SECONDS:
            self._last_progress = time.monotonic()
            self.note(f"{label}: {done:,} of {total:,}")

    def note(self, message: str) -> None:
        """The sentence."""
        print(printable(message), file=_Lasting(sys.stderr), flush=True)

    def opened(self, history: History, plan: SweepPlan, workers: int) -> None:
        """What runs on what."""
        self._history, self._plan = history, plan
        self.note(headline(history, plan, workers))

    def follow(self, record: LogRecord) -> None:
        """A line for every segment and trial that ends."""
        event = record.event
        if self._history is None or self._plan is None:
            return
        if isinstance(event, EpochEnded) and self._plan.trials == 1:
            self.note(f"epoch {event.epoch}/{self._plan.max_epochs}: {_epoch_text(event.metrics)}")
        elif isinstance(event, SegmentEnded) and self._plan.trials > 1:
            self._segments[event.trial] = event
            if not event.over:
                self._tell(event)
        elif isinstance(event, TrialEnded) and event.state == "complete" and event.trial in self._segments:
            self._tell(self._segments[event.trial])  # only now does it count for the best
        elif isinstance(event, TrialEnded) and event.state == "failed":
            self.note(f"trial {event.trial} failed ({event.failure}): {event.reason}")

    def _tell(self, event: SegmentEnded) -> None:
        assert self._history is not None
        assert self._plan is not None
        trial = self._history.trials[event.trial]
        self.note(
            f"trial {event.trial}: {self._plan.metric} {score_text(trial, event.epoch, self._plan)} "
            f"after {event.epoch} epochs ({event.seconds:.1f} s){_best_text(self._history)}"
        )

    def ended(self, result: SweepResult) -> None:
        """The summary."""
        for line in summary(result):
            self.note(line)


class LiveDisplay:
    """Overall bar, a line for each worker, the best trial so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._history: History | None = None
        self._plan: SweepPlan | None = None
        self._workers: dict[int, tuple[int, int] | None] = {}
        """Trial and target epoch by worker; None while it is idle."""
        self._began = time.monotonic()
        self._seen_before = 0
        """Trials with a result from earlier sessions."""
        self._preparing: Progress | None = None
        self._live: Live | None = None

    def progress(self, label: str, done: int, total: int) -> None:
        """A bar for the preparation."""
        if self._preparing is None:
            self._preparing = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
                console=self._console,
            )
            self._preparing.start()
        for task in self._preparing.tasks:
            if task.description == label:
                self._preparing.update(task.id, completed=done, total=total)
                return
        self._preparing.add_task(label, completed=done, total=total)

    def note(self, message: str) -> None:
        """The sentence, above the panel."""
        self._console.print(printable(message), markup=False)

    def opened(self, history: History, plan: SweepPlan, workers: int) -> None:
        """Draw the panel."""
        self._stop_preparing()
        self._history, self._plan = history, plan
        self._began = time.monotonic()
        self._seen_before = _seen(list(history.trials.values()))
        self.note(headline(history, plan, workers))
        self._live = Live(
            get_renderable=self._panel,
            console=self._console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def follow(self, record: LogRecord) -> None:
        """Note who runs what; the panel redraws by itself."""
        event = record.event
        if isinstance(event, EpochEnded) and self._plan is not None and self._plan.trials == 1:
            self.note(f"epoch {event.epoch}/{self._plan.max_epochs}: {_epoch_text(event.metrics)}")
        elif isinstance(event, SegmentStarted):
            self._workers[event.worker] = (event.trial, event.stop)
        elif isinstance(event, (SegmentEnded, SegmentFailed)) and self._history is not None:
            worker = self._history.trials[event.trial].worker
            running = self._workers.get(worker) if worker is not None else None
            if worker is not None and running is not None and running[0] == event.trial:
                self._workers[worker] = None  # unless it has gone on with another trial
        elif isinstance(event, TrialEnded) and event.state == "failed":
            self.note(f"trial {event.trial} failed ({event.failure}): {event.reason}")

    def ended(self, result: SweepResult) -> None:
        """Clear the panel and print the summary."""
        self.close()
        for line in summary(result):
            self.note(line)

    def close(self) -> None:
        """Let go of the terminal."""
        self._stop_preparing()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _stop_preparing(self) -> None:
        if self._preparing is not None:
            self._preparing.stop()
            self._preparing = None

    def _panel(self) -> Group:
        """Drawn by a thread of its own: it works on copies of what the sweep's thread adds to."""
        assert self._history is not None
        assert self._plan is not None
        history, plan = self._history, self._plan
        trials = list(history.trials.values())
        elapsed = time.monotonic() - self._began
        seen = _seen(trials)
        new = seen - self._seen_before
        left = _clock(elapsed / new * (plan.trials - seen)) if new > 0 else "–"
        bar = Progress(
            TextColumn("trials"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn(f"elapsed {_clock(elapsed)}"),
            TextColumn(f"left {left}"),
        )
        bar.add_task("", completed=seen, total=plan.trials)
        workers = Table.grid(padding=(0, 2))
        for worker, running in sorted(self._workers.copy().items()):
            if running is None:
                workers.add_row(f"worker {worker}", "idle")
                continue
            number, stop = running
            trial = history.trials[number]
            epoch = max(list(trial.epochs), default=0)
            workers.add_row(
                f"worker {worker}",
                f"trial {number}",
                f"epoch {epoch}/{stop}",
                f"{plan.metric} {score_text(trial, epoch, plan)}" if epoch else "starting",
                Text(_params_text(trial), style="dim", no_wrap=True, overflow="ellipsis"),
            )
        line = _best_line(trials, plan)
        return Group(bar, workers, Text(line, no_wrap=True, overflow="ellipsis"))


def _epoch_text(metrics: dict[str, float]) -> str:
    shown = ("loss", "accuracy", "val_loss", "val_accuracy", "val_f1_macro")
    figures = [f"{name} {metrics[name]:.4f}" for name in shown if name in metrics]
    return "  ".join([*figures, f"{metrics['epoch_seconds']:.1f} s"])


def headline(history: History, plan: SweepPlan, workers: int) -> str:
    """The study, its data, and what runs it."""
    assert history.study is not None
    data = plan.dataset
    height, width, channels = data.image_shape
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items() if count)
    done = f", {len(history.trials)} there already" if history.trials else ""
    return (
        f"study {history.study.study}: {_count(plan.trials, 'trial')}{done}, {_count(workers, 'worker')}\n"
        f"data  {data.name}: {counts} images of {height}×{width}×{channels}, {len(data.classes)} classes"
    )


def summary(result: SweepResult) -> list[str]:
    """How the sweep ended, what won, and what to type next."""
    history = result.history
    assert history.study is not None
    name = history.study.study
    states = [trial.state for trial in history.trials.values()]
    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "paused", "running", "waiting")
        if state in states
    )
    lines = [f"{name}: {result.ended.reason} ({counts or 'nothing had begun'}) in {_clock(result.seconds)}"]
    champion = best(history)
    if champion is not None:
        metric = history.study.experiment["objective"]["metric"]
        lines += [
            f"best  trial {champion.number}: {metric} {champion.score:.4f}  {_params_text(champion)}",
            f"next  harness leaderboard {name}",
            f"      harness show {champion.number} --study {name}",
            f"      harness export --study {name}",
            "      harness ui",
        ]
    elif not result.ended.complete:
        lines.append("best  none yet: no trial has been trained to its end")
    return lines


def score_text(trial: TrialHistory, epoch: int, plan: SweepPlan) -> str:
    """The objective's value at an epoch."""
    value = trial.epochs.get(epoch, {}).get(plan.metric)
    return "–" if value is None else f"{value:.4f}"


def _best_text(history: History) -> str:
    champion = best(history)
    return f"  best {champion.score:.4f} (trial {champion.number})" if champion else ""


def _seen(trials: list[TrialHistory]) -> int:
    """How many have a result."""
    return sum(trial.state not in ("running", "waiting") for trial in trials)


def _best_line(trials: list[TrialHistory], plan: SweepPlan) -> str:
    champion = best_of(trials, maximize=plan.maximize)
    if champion is None:
        ahead = [trial for trial in trials if trial.score is not None]
        if not ahead:
            return "best  nothing yet"
        sign = 1 if plan.maximize else -1
        leader = max(ahead, key=lambda trial: (trial.reached, sign * (trial.score or 0)))
        return (
            f"ahead  trial {leader.number}  {plan.metric} {leader.score:.4f} after {leader.reached} of "
            f"{plan.max_epochs} epochs  {_params_text(leader)}"
        )
    return f"best  trial {champion.number}  {plan.metric} {champion.score:.4f}  {_params_text(champion)}"


def _params_text(trial: TrialHistory) -> str:
    """What the sampler chose, compactly."""
    return " ".join(
        f"{name.split('[')[0]}={value:.4g}" if isinstance(value, float) else f"{name.split('[')[0]}={value}"
        for name, value in trial.sampled.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
