"""Sweeps over folds on an inline engine with a simulated trainer: who gets which, also if it is stopped."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from harness.analysis.tables import ranking
from harness.analysis.verify import verify
from harness.engine.inline import InlineEngine
from harness.paths import StudyPaths
from harness.records import (
    Checkpoint,
    CheckpointSaved,
    EpochEnded,
    LogRecord,
    Segment,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    WorkerEvent,
)
from harness.schedulers.full import FullTraining
from harness.schedulers.protocol import Scheduler
from harness.study.event_log import EventLog, read
from harness.study.state import StudyState, best, fold
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.ordered import OrderedPolicy
from harness.sweeping.outcomes import next_segment
from harness.sweeping.parts import make_scheduler
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.samplers.sampler import Sampler
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter
from tests.studies import DATASET, experiment, study_started

FOLDS, EPOCHS, TRIALS = 4, 3, 8
DATA = replace(DATASET, folds=FOLDS, counts={"train": 20, "validation": 0, "test": 5})
Observe = Callable[[WorkerEvent], None]


def accuracy(segment: Segment, epoch: int) -> float:
    """Grows within a training towards 1 − dropout, with noise by the training's seed."""
    own = epoch - segment.before
    noise = random.Random(f"{segment.seed} {own}").gauss(0, 0.02)
    return (1 - float(segment.params["dropout"])) * own / (own + 1) + noise


def simulate(segment: Segment, observe: Observe, should_stop: Callable[[], bool]) -> None:
    epoch, over = segment.start, False
    whole = segment.last or segment.before + segment.max_epochs
    assert segment.before <= segment.start < segment.stop == segment.before + segment.max_epochs
    while epoch < min(segment.stop, segment.granted or segment.stop) and not over:
        epoch += 1
        # In every second fold it stops early.
        over = epoch == whole or (segment.fold is not None and segment.fold % 2 == 1 and epoch == whole - 1)
        metrics = {"loss": 1.0} | ({} if segment.fold is None else {"val_accuracy": accuracy(segment, epoch)})
        observe(
            EpochEnded(
                trial=segment.trial, attempt=segment.attempt, epoch=epoch, metrics=metrics, fold=segment.fold,
                time=epoch,
            )
        )  # fmt: skip
        if not over:
            saved = Checkpoint(file=f"{segment.trial}-{epoch}.ckpt", sha256="0" * 64, epoch=epoch)
            observe(CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=0))
        if should_stop():
            break
    observe(
        SegmentEnded(
            trial=segment.trial, attempt=segment.attempt,
            epoch=segment.stop if over and segment.fold is not None else epoch,
            over=over and segment.fold is None, seconds=1.0, evaluations=[], time=0,
        )
    )  # fmt: skip


def session(
    folder: Path,
    *,
    stop_after: int | None = None,
    window: int = 0,
    scheduler: Scheduler | None = None,
    **limits: object,
) -> StudyEnded:
    """One session of a study of folds, which is asked to stop after so many records."""
    folder.mkdir(exist_ok=True)
    searched = experiment(
        dataset={"folds": FOLDS}, training={"epochs": EPOCHS},
        search={"trials": TRIALS, "ordered": bool(window)} | limits,
    )  # fmt: skip
    log = EventLog(folder / "events.jsonl")
    state = fold(log.records)
    began = study_started(searched, dataset=DATA, session=state.sessions + 1, window=window)
    state.apply(log.append(began))
    engine, stop, seen = InlineEngine(2, run=simulate), Stop(), [0]
    engine.start()

    def count(_: LogRecord) -> None:
        seen[0] += 1
        if seen[0] == stop_after:
            stop.reason = "stopped"

    plan = SweepPlan(experiment=searched, study_folder=folder, dataset=DATA)
    sampler = Sampler(searched.space, "tpe", 0, objectives=searched.objectives)
    policy = AsynchronousPolicy(sampler, scheduler or make_scheduler(searched), TRIALS)
    running = Coordinator(
        plan=plan,
        workers=Workers(engine, None),
        writer=StudyWriter(plan, log, state, [count]),
        policy=OrderedPolicy(policy, window) if window else policy,
        clock=Stopwatch(time.monotonic(), 0.0),
        stop=stop,
    )
    try:
        return running.run()
    finally:
        log.close()


def check(folder: Path) -> StudyState:
    """What must hold of every complete study; returns it."""
    records = read(folder / "events.jsonl")
    state = fold(records)
    whole = [trial for trial in state.trials.values() if trial.all_folds]
    winner = best(state)
    assert winner is not None
    assert winner.score == max(trial.score for trial in whole if trial.score is not None)
    for trial in state.trials.values():
        ends = [record.event for record in records if isinstance(record.event, TrialEnded)]
        (end,) = [one for one in ends if one.trial == trial.number]
        number = trial.folds.finished(trial.reached)
        assert number >= 2
        scores = trial.fold_scores("val_accuracy", trial.reached)
        assert end.score == pytest.approx(fmean(scores))
        assert end.standard_error == trial.folds.standard_error(scores)
        trained = {epoch for epoch in trial.epochs if trial.folds.fold_of(epoch) is not None}
        assert trained == {
            one * EPOCHS + own for one in range(number) for own in range(1, EPOCHS + 1 - one % 2)
        }
        if trial.state == "complete":
            # Folds took 3, 2, 3 and 2 epochs: the lower one of the two in the middle is 2.
            assert set(trial.epochs) - trained == {FOLDS * EPOCHS + own for own in (1, 2)}
            assert "trained on all images for 2 epochs" in trial.reason
        else:
            assert trial.reason == f"outcompeted after {number} of {FOLDS} folds"
    paths = StudyPaths(folder)
    checks = verify(paths, records, [], lambda: False, [], lambda _: "")
    assert not next(one for one in checks if one.name == "V6").problems
    ranked = ranking(state)
    assert ranked.columns[3:6] == ["score", "standard_error", "folds"]
    order = [row["score"] for row in ranked.rows if row["folds"] == FOLDS]
    assert order == sorted(order, reverse=True)
    assert ranked.rows[0]["trial"] == winner.number
    return state


def test_a_sweep_races_folds_and_trains_its_best_on_all_images(tmp_path: Path) -> None:
    assert session(tmp_path).complete
    state = check(tmp_path)
    assert len({trial.folds.finished(trial.reached) for trial in state.trials.values()}) > 1


@pytest.mark.parametrize("window", [0, 2])
def test_a_sweep_that_is_stopped_again_and_again_comes_to_the_same_kind_of_end(
    tmp_path: Path, window: int
) -> None:
    rng = random.Random(window)
    for _ in range(100):
        if session(tmp_path, stop_after=rng.randint(1, 25), window=window).complete:
            break
    state = check(tmp_path)
    assert state.sessions > 3


def test_in_a_fixed_order_a_stopped_sweep_decides_as_a_straight_one(tmp_path: Path) -> None:
    assert session(tmp_path / "straight", window=2).complete
    while not session(tmp_path / "stopped", window=2, stop_after=17).complete:
        pass
    told = [
        sorted(
            (trial.number, trial.params["dropout"], trial.score, trial.state, tuple(sorted(trial.epochs)))
            for trial in check(tmp_path / name).trials.values()
        )
        for name in ("straight", "stopped")
    ]
    assert told[0] == told[1]


def test_a_budget_of_epochs_is_kept_within_folds(tmp_path: Path) -> None:
    ended = session(tmp_path, max_epochs_total=20)
    assert not ended.complete
    assert sum(len(trial.epochs) for trial in fold(read(tmp_path / "events.jsonl")).trials.values()) == 20
    assert session(tmp_path, max_epochs_total=None).complete
    check(tmp_path)


def test_a_choice_that_reaches_over_folds_is_handed_out_fold_by_fold(tmp_path: Path) -> None:
    assert session(tmp_path, scheduler=FullTraining((FOLDS + 1) * EPOCHS)).complete
    records = read(tmp_path / "events.jsonl")
    assert {trial.state for trial in fold(records).trials.values()} == {"complete"}
    starts = [record.event for record in records if isinstance(record.event, SegmentStarted)]
    assert {(one.start, one.stop) for one in starts} == {(0, 3), (3, 6), (6, 9), (9, 12), (12, 15)}
    assert len(starts) == (FOLDS + 1) * TRIALS


def test_folds_have_seeds_of_their_own_and_all_images_the_trials(tmp_path: Path) -> None:
    session(tmp_path)
    records = read(tmp_path / "events.jsonl")
    state = fold(records)
    starts = [record.event for record in records if isinstance(record.event, SegmentStarted)]
    winner = best(state)
    assert winner is not None
    assert {one.stop for one in starts if one.trial == winner.number} == {3, 6, 9, 12, 15}
    fresh = replace(winner, reached=0, checkpoints=[], epochs={})
    plan = SweepPlan(experiment=state.experiment, study_folder=tmp_path, dataset=DATA)
    seeds = []
    for ended in range(FOLDS):
        segment = next_segment(plan, replace(fresh, reached=ended * EPOCHS), (ended + 1) * EPOCHS, (EPOCHS,))
        assert (segment.fold, segment.before, segment.start) == (ended, ended * EPOCHS, ended * EPOCHS)
        seeds.append(segment.seed)
    assert len({*seeds, winner.seed}) == FOLDS + 1
    whole = next_segment(plan, replace(winner, reached=12, checkpoints=[]), 15, (EPOCHS,))
    assert (whole.fold, whole.before, whole.last, whole.seed) == (None, 12, 14, winner.seed)
