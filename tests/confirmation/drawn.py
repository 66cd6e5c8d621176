"""Studies whose trials score what a test says, and their confirmations on an engine that trains nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.confirmation.experiment import confirmation_of
from harness.engine.inline import InlineEngine
from harness.experiment.experiment import Experiment
from harness.experiment.parameters import complete
from harness.records import (
    Checkpoint,
    CheckpointSaved,
    EpochEnded,
    Event,
    LogRecord,
    ModelSaved,
    Params,
    Segment,
    SegmentEnded,
    SegmentFailed,
    StudyEnded,
    TrialEnded,
    TrialStarted,
)
from harness.study.event_log import EventLog
from harness.study.state import StudyState, fold
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.replicates import ReplicatesPolicy
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter
from tests.studies import DATASET, experiment, objective, study_started

EPOCHS = 3
Score = Callable[[int, int], float]
"""What a training scores: of the configuration and the seed, as positions; NaN: it diverges."""


def configuration(number: int) -> Params:
    """The parameters of a trial; none has those of another."""
    return complete({"dropout": number / 1000, "optimizer": "adam"})


def searched(scores: Sequence[float], *, minimize: bool = False, **sections: Any) -> StudyState:
    """A study that has ended, its trials complete with these scores."""
    given: dict[str, Any] = {"training": {"epochs": EPOCHS}} | sections
    if minimize:
        given["objectives"] = objective("val_loss", "minimize")
    found = experiment(**given)
    metric = found.objective.name
    events: list[Event] = [study_started(found)]
    for number, score in enumerate(scores):
        params = configuration(number)
        sampled: Params = {
            "dropout": params["dropout"], "optimizer": "adam", "learning_rate[adam]": params["learning_rate"]
        }  # fmt: skip
        metrics = {metric: score, "epoch_seconds": 1.0}
        events += [
            TrialStarted(trial=number, params=params, sampled=sampled, seed=number, time=0),
            EpochEnded(trial=number, attempt=1, epoch=EPOCHS, metrics=metrics, time=0),
            SegmentEnded(
                trial=number, attempt=1, epoch=EPOCHS, over=True, seconds=10.0, evaluations=[], time=0
            ),
            TrialEnded(
                trial=number, state="complete", score=score, values=[score], epoch=EPOCHS, reason="finished",
                failure=None, traceback="", time=0,
            ),
        ]  # fmt: skip
    events.append(StudyEnded(reason="all", complete=True, time=0))
    return fold(LogRecord(seq, event) for seq, event in enumerate(events, 1))


@dataclass
class Drawn:
    """A trainer whose scores are given."""

    experiment: Experiment
    score: Score

    def __call__(
        self, segment: Segment, observe: Callable[[Any], None], should_stop: Callable[[], bool]
    ) -> None:
        """Report every epoch; the score is that of the last one."""
        confirmation = self.experiment.confirmation
        assert confirmation is not None
        place = confirmation.place(segment.params, segment.seed)
        assert place is not None
        score, trial, attempt = self.score(*place), segment.trial, segment.attempt
        if math.isnan(score):
            failed = SegmentFailed(
                trial=trial, attempt=attempt, failure="diverged", message="loss is nan", traceback="", time=0
            )
            observe(failed)
            return
        for epoch in range(segment.start + 1, segment.stop + 1):
            known = score if epoch == segment.stop else score / 2
            metrics = {self.experiment.objective.name: known, "epoch_seconds": 1.0}
            observe(EpochEnded(trial=trial, attempt=attempt, epoch=epoch, metrics=metrics, time=0))
        saved = Checkpoint(file=f"{trial}.ckpt", sha256="0" * 64, epoch=segment.stop)
        observe(CheckpointSaved(trial=trial, attempt=attempt, checkpoint=saved, time=0))
        observe(
            ModelSaved(
                trial=trial,
                attempt=attempt,
                file="m",
                size=1,
                sha256="0" * 64,
                epoch=segment.stop,
                parameters=7,
                time=0,
            )
        )
        observe(
            SegmentEnded(
                trial=trial,
                attempt=attempt,
                epoch=segment.stop,
                over=True,
                seconds=1.0,
                evaluations=[],
                time=0,
            )
        )


def confirmation(study: StudyState, top: int, seeds: int) -> Experiment:
    """The confirmation of a study's first trials, in their order."""
    return confirmation_of(study, [study.trials[number] for number in range(top)], seeds)


def confirmed(
    folder: Path,
    wanted: Experiment,
    score: Score,
    *,
    workers: int = 2,
    stop_after: int | None = None,
) -> StudyState:
    """Take up the confirmation in a folder, and run it to its end, or until so many records are written."""
    folder.mkdir(exist_ok=True)
    log = EventLog(folder / "events.jsonl")
    state = fold(log.records)
    began = study_started(wanted, session=state.sessions + 1, study="s.confirm")
    state.apply(log.append(began))
    engine = InlineEngine(workers, run=Drawn(wanted, score))
    engine.start()
    plan = SweepPlan(experiment=wanted, study_folder=folder, dataset=DATASET)
    assert wanted.confirmation is not None

    def strike(record: LogRecord) -> None:
        if stop_after is not None and record.seq >= stop_after:
            raise KilledError

    running = Coordinator(
        plan=plan,
        workers=Workers(engine, None),
        writer=StudyWriter(plan, log, state, [strike]),
        policy=ReplicatesPolicy(wanted.confirmation, EPOCHS, wanted.objective.maximize),
        clock=Stopwatch(time.monotonic(), state.earlier_seconds),
        stop=Stop(),
    )
    try:
        running.run()
    finally:
        log.close()
    return state


class KilledError(Exception):
    """The coordinator is gone, at once."""


def from_table(table: Mapping[int, Sequence[float]]) -> Score:
    """Scores by configuration and seed."""
    return lambda index, position: table[index][position]
