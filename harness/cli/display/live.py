"""A live panel on a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness.cli import printable
from harness.cli.display.text import (
    best_line,
    clock,
    epoch_text,
    features_text,
    headline,
    params_text,
    place_text,
    pulse_text,
    score_text,
    summary,
    with_result,
)
from harness.records import (
    EpochEnded,
    FeaturesReady,
    LogRecord,
    Pulse,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    TrialEnded,
)

if TYPE_CHECKING:
    from harness.study.state import StudyState
    from harness.sweeping.plan import SweepPlan, SweepResult

REFRESH_PER_SECOND = 4
MOST_LINES = 32
"""Workers that have a line; of more there is only their number: nobody reads a thousand lines."""


class LiveDisplay:
    """A panel redrawn in place: a bar of all trials, a line for each worker, the best trial so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: StudyState | None = None
        self._plan: SweepPlan | None = None
        self._workers: dict[int, tuple[int, int] | None] = {}
        """Trial and target epoch by worker; None while it is idle."""
        self._pulses: dict[int, Pulse] = {}
        """The last one of each trial."""
        self._began = time.monotonic()
        self._seen_before = 0
        """Trials with a result from earlier sessions."""
        self._preparing: Progress | None = None
        self._live: Live | None = None

    def progress(self, label: str, done: int, total: int) -> None:
        """Draw a bar for a long step of the preparation."""
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
        """Print the sentence above the panel."""
        self._console.print(printable(message), markup=False)

    def opened(self, state: StudyState, plan: SweepPlan, workers: int) -> None:
        """Draw the panel; from now on a thread of its own redraws it."""
        self._stop_preparing()
        self._state, self._plan = state, plan
        self._began = time.monotonic()
        self._seen_before = with_result(list(state.trials.values()))
        self.note(headline(state, plan, workers))
        self._live = Live(
            get_renderable=self._panel,
            console=self._console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def on_pulse(self, pulse: Pulse) -> None:
        """Note how far the trial is within its epoch."""
        self._pulses[pulse.trial] = pulse

    def on_record(self, record: LogRecord) -> None:
        """Note which worker trains which trial; what must not be missed is printed above the panel."""
        event = record.event
        if isinstance(event, EpochEnded) and self._plan is not None and self._plan.trials == 1:
            self.note(f"{place_text(self._plan, event.epoch)}: {epoch_text(event.metrics)}")
        elif isinstance(event, SegmentStarted):
            self._workers[event.worker] = (event.trial, event.stop)
        elif isinstance(event, (SegmentEnded, SegmentFailed)) and self._state is not None:
            worker = self._state.trials[event.trial].worker
            running = self._workers.get(worker) if worker is not None else None
            if worker is not None and running is not None and running[0] == event.trial:
                self._workers[worker] = None  # unless it has gone on with another trial
        elif isinstance(event, FeaturesReady) and self._plan is not None:
            if text := features_text(event, self._plan.dataset.noun):
                self.note(text)
        elif isinstance(event, TrialEnded) and event.state == "failed":
            self.note(f"trial {event.trial} failed ({event.failure}): {event.reason}")

    def ended(self, result: SweepResult) -> None:
        """Clear the panel and print the summary."""
        self.close()
        for line in summary(result):
            self.note(line)

    def close(self) -> None:
        """Stop drawing and let go of the terminal."""
        self._stop_preparing()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _stop_preparing(self) -> None:
        if self._preparing is not None:
            self._preparing.stop()
            self._preparing = None

    def _panel(self) -> Group:
        """The panel as it is to be drawn now.

        It is drawn by a thread of its own, so it works on copies of what the sweep's thread adds to.
        """
        assert self._state is not None
        assert self._plan is not None
        state, plan = self._state, self._plan
        trials = list(state.trials.values())
        elapsed = time.monotonic() - self._began
        seen = with_result(trials)
        new = seen - self._seen_before
        left = clock(elapsed / new * (plan.trials - seen)) if new > 0 else "–"
        bar = Progress(
            TextColumn("trials"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn(f"elapsed {clock(elapsed)}"),
            TextColumn(f"left {left}"),
        )
        bar.add_task("", completed=seen, total=plan.trials)
        workers = Table.grid(padding=(0, 2))
        every = sorted(self._workers.copy().items())
        for worker, running in every[:MOST_LINES]:
            if running is None:
                workers.add_row(f"worker {worker}", "idle")
                continue
            number, stop = running
            trial = state.trials[number]
            epoch, pulse = trial.last_epoch, self._pulses.get(number)
            workers.add_row(
                f"worker {worker}",
                f"trial {number}",
                place_text(plan, epoch) if plan.experiment.folds.parts and epoch else f"epoch {epoch}/{stop}",
                pulse_text(pulse) if pulse is not None and pulse.epoch > epoch else "",
                f"{plan.experiment.objective.name} {score_text(trial, epoch, plan)}" if epoch else "starting",
                Text(params_text(trial), style="dim", no_wrap=True, overflow="ellipsis"),
            )
        if hidden := every[MOST_LINES:]:
            idle = sum(running is None for _, running in hidden)
            workers.add_row(f"{len(hidden)} more", f"{idle} idle")
        line = best_line(trials, plan)
        return Group(bar, workers, Text(line, no_wrap=True, overflow="ellipsis"))
