"""What a sweep shows in a notebook: a bar beneath the cell; nothing anywhere else."""

from __future__ import annotations

import html
import importlib
import logging
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from harness.study.state import best_of

if TYPE_CHECKING:
    from harness.records import LogRecord, Pulse
    from harness.study.state import StudyState
    from harness.sweeping.plan import SweepPlan

LOGGER = logging.getLogger("harness")
"""Told what the command line would print; without a configuration of logging nobody hears it."""


class Progress:
    """A `harness.sweeping.plan.Watcher` that is told by the sweep's thread and looked at by the caller's."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._preparing: tuple[str, int, int] | None = None
        self._notes: list[str] = []
        self._study: tuple[StudyState, SweepPlan] | None = None

    def progress(self, label: str, done: int, total: int) -> None:
        """Note how far a long step of the preparation is."""
        self._preparing = label, done, total

    def note(self, message: str) -> None:
        """Keep the sentence, and log it."""
        LOGGER.info(message)
        with self._lock:
            self._notes.append(message)

    def opened(self, state: StudyState, plan: SweepPlan, workers: int) -> None:
        """Note the study, whose state stays up to date."""
        self._study = state, plan

    def on_pulse(self, pulse: Pulse) -> None:
        """Nothing: a bar of trials does not move within an epoch."""

    def on_record(self, record: LogRecord) -> None:
        """Nothing: the state has it already."""

    def standing(self) -> tuple[str, int, int]:
        """How far the sweep is: in words, and as a part of a whole."""
        seconds = time.monotonic() - self._began
        if self._study is None:
            label, done, total = self._preparing or ("preparing", 0, 1)
            return f"{label} · {seconds:.0f} s", done, total
        state, plan = self._study
        trials = list(state.trials.values())  # the sweep's thread adds to them
        ended = sum(trial.has_ended for trial in trials)
        winner = best_of(trials, state.objective)
        score = f" · best {winner.score:.4f} (trial {winner.number})" if winner is not None else ""
        return f"{state.name}: {ended} of {plan.trials} trials{score} · {seconds:.0f} s", ended, plan.trials

    def notes(self) -> list[str]:
        """The sentences so far."""
        with self._lock:
            return list(self._notes)

    def __repr__(self) -> str:
        return "\n".join([self.standing()[0], *self.notes()])

    def _repr_html_(self) -> str:
        text, done, total = self.standing()
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self.notes())
        return (
            f'<div><progress value="{done}" max="{max(total, 1)}" style="width: 20em"></progress> '
            f"{html.escape(text)}</div>{notes}"
        )


class Display(Protocol):
    """Something that shows a `Progress`."""

    def update(self, shown: Progress) -> Any:
        """Show the progress as it is now."""


class Silence:
    """The display of a sweep that nobody watches."""

    def update(self, shown: Progress) -> None:
        """Leave the progress as it stands."""


def open_display(progress: Progress) -> Display:
    """Show the progress beneath the cell of a notebook; elsewhere, nowhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return Silence()
    from IPython import display

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Optuna imports it, and it would warn that it cannot draw bars of its own without ipywidgets.
        importlib.import_module("tqdm.auto")
    handle: Display = display.display(progress, display_id=True)  # type: ignore[no-untyped-call]
    return handle
