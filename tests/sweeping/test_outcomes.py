"""A trial's next segment, what came of one, and its end, from what the log says of the trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Annealing, Checkpoint
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.outcomes import (
    completed_reason,
    ending,
    known_outcome,
    next_segment,
    outcome,
    trial_ended,
    values_after,
)
from harness.sweeping.plan import SweepPlan
from tests.studies import DATASET, experiment, objective

EPOCHS = 9


def plan(**sections: Any) -> SweepPlan:
    searched = experiment(**({"training": {"epochs": EPOCHS}, "scheduler": {"kind": "none"}} | sections))
    return SweepPlan(experiment=searched, study_folder=Path("s"), dataset=DATASET)


def trial(*scores: float, **changes: Any) -> Trial:
    """One with these accuracies after epochs 1, 2, …"""
    found = Trial(3, {"dropout": 0.1}, {"dropout": 0.1}, 7, 0)
    found.epochs = {
        epoch: {"val_accuracy": score, "val_loss": 1 - score, "loss": 2.0, "epoch_seconds": 4.0 - epoch / 10}
        for epoch, score in enumerate(scores, start=1)
    }
    for name, value in changes.items():
        assert hasattr(found, name)
        setattr(found, name, value)
    return found


def saved(epoch: int) -> Checkpoint:
    return Checkpoint(file=f"checkpoint-{epoch}", sha256="0" * 64, epoch=epoch)


# The next segment


def test_a_trial_that_ends_early_is_gone_on_with_as_it_began() -> None:
    began, other = Annealing(start=1, stop=4), Annealing(start=1, stop=6)
    fresh = next_segment(plan(), trial(0.5, reached=1, checkpoints=[saved(1)]), 4, (1, 3, EPOCHS), began)
    assert (fresh.start, fresh.stop, fresh.annealing, fresh.max_epochs) == (1, 4, began, EPOCHS)
    cut_off = trial(0.5, 0.6, reached=1, target=4, annealing=began, checkpoints=[saved(1), saved(2)])
    for asked in (None, other):
        again = next_segment(plan(), cut_off, EPOCHS, (1, 3, EPOCHS), asked)
        assert (again.start, again.stop, again.annealing) == (2, 4, began)
    ended = trial(0.5, 0.6, 0.7, 0.8, reached=4, annealing=began)
    assert completed_reason(plan(), ended) == "annealed from epoch 1 to 4 of 9 in the time that was left"


def test_the_first_segment_begins_at_the_beginning() -> None:
    segment = next_segment(plan(), trial(), 3, (3, EPOCHS))
    assert (segment.trial, segment.attempt, segment.start, segment.stop, segment.max_epochs) == (
        3,
        1,
        0,
        3,
        EPOCHS,
    )
    assert (segment.params, segment.seed, segment.dataset) == ({"dropout": 0.1}, 7, DATASET)
    assert segment.cycles == (3, EPOCHS)
    assert (segment.checkpoint, segment.earlier_checkpoint, segment.past_losses) == (None, None, ())


@pytest.mark.parametrize("epochs", [[2], [1, 3], [2, 4]])
def test_a_segment_goes_on_from_the_last_checkpoint_and_knows_the_one_before(epochs: list[int]) -> None:
    known = trial(0.1, 0.2, 0.3, 0.4, checkpoints=[saved(epoch) for epoch in epochs], attempts=2)
    segment = next_segment(plan(), known, 9, (EPOCHS,))
    assert (segment.start, segment.checkpoint) == (epochs[-1], saved(epochs[-1]))
    assert segment.earlier_checkpoint == (saved(epochs[0]) if len(epochs) > 1 else None)
    assert segment.past_losses == tuple(
        1 - known.epochs[one]["val_accuracy"] for one in range(1, epochs[-1] + 1)
    )
    assert segment.attempt == 3


@pytest.mark.parametrize(
    ("sections", "cycles", "epoch"),
    [
        ({}, (1, 3, EPOCHS), 3),
        ({}, (EPOCHS,), EPOCHS // 2),
        ({"training": {"epochs": 1}}, (1,), 1),
        ({"training": {"epochs": EPOCHS, "unfreeze_at": 7}}, (1, 3, EPOCHS), 7),
    ],
    ids=["the promotion to the last rung", "half of the epochs", "one epoch", "as the file says"],
)
def test_a_backbone_is_unfrozen_at(sections: dict[str, Any], cycles: tuple[int, ...], epoch: int) -> None:
    assert next_segment(plan(**sections), trial(), 1, cycles).unfreeze_at == epoch


def test_where_there_is_no_validation_split_the_training_loss_is_remembered() -> None:
    known = trial(0.1, 0.2, checkpoints=[saved(2)])
    for metrics in known.epochs.values():
        del metrics["val_loss"]
    assert next_segment(plan(), known, 9, (EPOCHS,)).past_losses == (2.0, 2.0)


def test_a_network_is_measured_once_and_only_if_somebody_asks() -> None:
    limited = plan(
        objectives=[{"metric": "val_accuracy"}, {"metric": "parameters"}], constraints={"latency_ms": 5.0}
    )
    first = next_segment(limited, trial(), 3, (EPOCHS,))
    assert (first.measure, first.limits) == (("parameters", "latency_ms"), {"latency_ms": 5.0})
    later = next_segment(limited, trial(measured={"parameters": 10.0, "latency_ms": 1.0}), 3, (EPOCHS,))
    assert (later.measure, later.limits) == ((), {})
    assert next_segment(plan(), trial(), 3, (EPOCHS,)).measure == ()


def test_the_batch_stays_cut_and_the_rest_is_as_the_plan_says() -> None:
    assert next_segment(plan(), trial(microbatches=2), 1, (EPOCHS,)).microbatches == 2
    segment = next_segment(plan(training={"epochs": 4, "precision": "bfloat16"}), trial(), 1, (EPOCHS,))
    assert (segment.precision, segment.max_epochs) == ("bfloat16", 4)


# What came of a segment


def test_an_outcome_holds_what_was_known_by_then_and_no_more() -> None:
    found = outcome(plan(), trial(0.1, math.nan, 0.3, 0.4), stop=3, epoch=3)
    assert found.scores == {1: 0.1, 3: 0.3}
    assert (found.values, found.state, found.final, found.seconds) == ((0.3,), None, None, 3.6)


def test_values_are_larger_is_better_and_unknown_ones_are_nan() -> None:
    several = plan(objectives=[*objective("val_loss", "minimize"), {"metric": "parameters"}])
    known = trial(0.25, measured={"parameters": 50.0})
    assert values_after(several, known, 1) == (-0.75, -50.0)
    later = values_after(several, known, 2)
    assert math.isnan(later[0])
    assert later[1] == -50.0


def test_final_values_are_those_of_the_file_and_all_of_them_finite() -> None:
    several = plan(objectives=[*objective("val_loss", "minimize"), {"metric": "parameters"}])
    measured = {"parameters": 50.0}
    assert outcome(several, trial(0.25, measured=measured), 9, 1, "complete").final == [0.75, 50.0]
    assert outcome(several, trial(0.25, measured=measured), 9, 1, "pruned").final == [0.75, 50.0]
    assert outcome(several, trial(0.25, measured=measured), 9, 1).final is None, "it is only paused"
    assert outcome(several, trial(0.25), 9, 1, "complete").final is None
    assert outcome(several, trial(math.nan, measured=measured), 9, 1, "pruned").final is None
    assert outcome(several, trial(0.25, measured=measured), 9, 1, "failed").final is None


@given(
    reached=st.integers(0, EPOCHS),
    target=st.integers(0, EPOCHS),
    stop=st.integers(1, EPOCHS),
    state=st.sampled_from(["waiting", "running", "paused", "complete", "pruned", "failed"]),
)
def test_the_log_knows_an_outcome_if_the_segment_was_run_or_the_trial_has_ended(
    reached: int, target: int, stop: int, state: Any
) -> None:
    ended = state in ("complete", "pruned", "failed")
    known = trial(
        *[0.1] * reached, reached=reached, target=max(reached, target), state=state,
        ended_ms=1 if ended else None,
    )  # fmt: skip
    found = known_outcome(plan(), known, stop)
    assert (found is not None) == (reached >= stop or ended)
    if found is not None:
        assert (found.trial, found.stop) == (3, stop)
        assert max(found.scores, default=0) <= max(stop, reached)
        assert found.state in (None, state)


def test_an_earlier_segment_of_a_trial_that_went_on_is_known_as_a_pause() -> None:
    ended = trial(*[0.1] * EPOCHS, reached=EPOCHS, target=EPOCHS, state="complete", ended_ms=1)
    early = known_outcome(plan(), ended, 3)
    assert early is not None
    assert (early.state, set(early.scores)) == (None, {1, 2, 3})
    last = known_outcome(plan(), ended, EPOCHS)
    assert last is not None
    assert (last.state, last.final) == ("complete", [0.1])


def test_what_stopped_improving_is_complete_at_the_rung_it_was_on_its_way_to() -> None:
    early = trial(0.1, 0.2, reached=2, target=3, state="complete", ended_ms=1)
    found = known_outcome(plan(), early, 3)
    assert found is not None
    assert (found.state, found.values, found.final) == ("complete", (0.2,), [0.2])


def test_a_trial_that_the_scheduler_left_behind_was_paused_where_it_stopped() -> None:
    """Whether it was pruned is decided by what became of the others; the segment's outcome is a pause."""
    found = known_outcome(plan(), trial(0.1, reached=1, target=1, state="pruned", ended_ms=1), 1)
    assert found is not None
    assert found.state is None


# Its end


def test_the_end_tells_score_and_values_of_the_last_epoch() -> None:
    several = plan(objectives=[{"metric": "val_accuracy"}, {"metric": "parameters"}])
    known = trial(0.5, 0.25, measured={"parameters": 50.0})
    event = trial_ended(several, known, "complete", reason="finished")
    assert (event.trial, event.state, event.score, event.values) == (3, "complete", 0.25, [0.25, 50.0])
    assert (event.epoch, event.reason, event.failure) == (2, "finished", None)


@pytest.mark.parametrize("scores", [(), (math.nan,), (0.5, math.inf)])
def test_without_a_finite_score_there_is_none(scores: tuple[float, ...]) -> None:
    event = trial_ended(plan(), trial(*scores), "failed", reason="gone", failure="crash", traceback="t")
    assert (event.score, event.values, event.epoch) == (None, None, len(scores))
    assert (event.failure, event.traceback) == ("crash", "t")


def test_what_has_diverged_scores_nothing_whatever_its_accuracy() -> None:
    event = trial_ended(plan(), trial(0.5), "failed", reason="NaN", failure="diverged")
    assert (event.score, event.values, event.epoch) == (None, None, 1)


@pytest.mark.parametrize(
    ("asked", "started", "exhausted", "why"),
    [
        (1, 1, False, "the trial has ended"),
        (3, 3, False, "all 3 trials have ended"),
        (3, 3, True, "all 3 trials have ended"),
        (3, 2, True, "all 2 configurations of the space have been tried"),
    ],
)
def test_a_study_that_was_not_stopped_says_why_it_has_ended(
    asked: int, started: int, exhausted: bool, why: str
) -> None:
    state = StudyState(trials={number: trial() for number in range(started)})
    assert ending(plan(search={"trials": asked}), state, exhausted=exhausted) == why


def test_a_complete_trial_says_whether_it_stopped_early() -> None:
    assert completed_reason(plan(), trial(reached=EPOCHS)) == "finished"
    assert completed_reason(plan(), trial(reached=4)) == "stopped improving at epoch 4"
