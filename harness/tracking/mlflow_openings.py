"""Test scores in MLflow, and how often the test set was opened: on each run that has one, and the study's."""

from __future__ import annotations

from harness.records import SegmentEnded, TestOpened
from harness.tracking.mlflow_model_runs import ModelRuns
from harness.tracking.mlflow_runs import ensemble_key
from harness.tracking.registered import OPENINGS

KIND = "harness.test_opened"
"""The tag of a trial's run that says how its test score came about."""

CHAMPION = "harness.champion"
"""The tag of the run whose model a confirmation has chosen; of the study's own run, that run's trial."""


class Openings:
    """Writes the test scores of trials, and how many of them there are."""

    def __init__(self, runs: ModelRuns) -> None:
        self._runs = runs
        self._session = runs.session
        self._batches = runs.batches

    def opened_by_training(self, event: SegmentEnded) -> None:
        """Count what `harness train` of earlier versions did; its runs show the test score already."""
        if any(one.split == "test" for one in event.evaluations):
            self._session.opened.add(event.trial)

    def opened(self, seq: int, event: TestOpened) -> None:
        """A model is, or was, evaluated on the test images."""
        session, key = self._session, _key(event)
        session.opened.add(key)
        if key not in session.left_out and not session.has(seq, key):
            if event.evaluation is not None:
                self._runs.evaluate(key, [event.evaluation], event.time, event.epoch)
            chosen = {CHAMPION: "true"} if event.how == "confirmed" else {}
            self._batches.send(session.runs[key], tags={KIND: event.how} | chosen)
        number = {OPENINGS: str(len(session.opened))}
        for other in sorted(session.opened - session.left_out):
            if not session.has(seq, other):
                self._batches.send(session.runs[other], tags=number)
        if not session.has(seq, None):
            chosen = {CHAMPION: str(event.trial)} if event.how == "confirmed" else {}
            self._batches.send(session.parent, tags=number | chosen)


def _key(event: TestOpened) -> int:
    """The run that it is about, as in `Session.runs`."""
    if event.trial is not None:
        return event.trial
    assert event.ensemble is not None
    return ensemble_key(event.ensemble)
