"""What the log's events make of a study and its trials."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StudyError
from harness.experiment.load import restore
from harness.records import (
    Checkpoint,
    CheckpointDamaged,
    CheckpointSaved,
    EpochEnded,
    Evaluation,
    Event,
    LogRecord,
    ModelMeasured,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TestOpened,
    TrialEnded,
    TrialStarted,
)
from harness.study.openings import openings_in_words
from harness.study.state import StudyState, best, fold
from harness.study.trial import MICROBATCHES
from tests.studies import SPACE, experiment, objective, study_started

OF = {"trial": 0, "attempt": 1, "time": 5}


def folded(*events: Event, opening: StudyStarted | None = None) -> StudyState:
    return fold(LogRecord(seq, event) for seq, event in enumerate([opening or study_started(), *events], 1))


def began(trial: int = 0, generation: int = 1) -> TrialStarted:
    return TrialStarted(
        trial=trial, params={"depth": 1}, sampled={}, seed=3, generation=generation, time=2
    )  # fmt: skip


def handed_out(start: int = 0, stop: int = 3, **changes: Any) -> SegmentStarted:
    return SegmentStarted(**({**OF, "start": start, "stop": stop, "worker": 4} | changes))


def epoch(number: int, score: float = 0.5, **changes: Any) -> EpochEnded:
    return EpochEnded(**({**OF, "epoch": number, "metrics": {"val_accuracy": score}} | changes))


def ended(number: int, *, over: bool = False) -> SegmentEnded:
    return SegmentEnded(**OF, epoch=number, over=over, seconds=1.5, evaluations=[])


def checkpoint(number: int) -> Checkpoint:
    return Checkpoint(file=f"checkpoint-{number}", sha256="0" * 64, epoch=number)


def saved(number: int) -> CheckpointSaved:
    return CheckpointSaved(**OF, checkpoint=checkpoint(number))


def test_a_trial_waits_runs_pauses_runs_and_ends() -> None:
    state = folded(began())
    trial = state.trials[0]
    found = [trial.state]
    events = [
        handed_out(), epoch(1, 0.1), ended(3), handed_out(3, 9, attempt=2), ended(9, over=True),
        TrialEnded(
            trial=0, state="complete", score=0.1, values=[0.1], epoch=1, reason="finished", failure=None,
            traceback="", time=9,
        ),
    ]  # fmt: skip
    for seq, event in enumerate(events, state.last_seq + 1):
        state.apply(LogRecord(seq, event))
        found.append(trial.state)
    assert found == ["waiting", "running", "running", "paused", "running", "paused", "complete"]
    assert (trial.attempts, trial.reached, trial.target, trial.worker, trial.seconds) == (2, 9, 9, 4, 3.0)
    assert (trial.ended_ms, trial.reason, trial.values) == (9, "finished", [0.1])
    assert state.results == [(0, 3), (0, 0)]
    assert (state.last_seq, state.last_ms) == (8, 9)


def test_of_an_epoch_that_was_trained_again_the_first_record_counts() -> None:
    trial = folded(began(), handed_out(), epoch(1, 0.1), epoch(2, 0.2), epoch(1, 0.9, attempt=2)).trials[0]
    assert [metrics["val_accuracy"] for metrics in trial.epochs.values()] == [0.1, 0.2]
    assert (trial.last_epoch, trial.last_metrics) == (2, {"val_accuracy": 0.2})


def test_metrics_are_told_with_what_was_measured_of_the_network() -> None:
    trial = folded(began(), ModelMeasured(**OF, measured={"parameters": 7.0}), epoch(1)).trials[0]
    assert trial.metrics_after(1) == {"val_accuracy": 0.5, "parameters": 7.0}
    assert trial.metrics_after(2) == {"parameters": 7.0}
    assert folded(began()).trials[0].last_metrics == {}


def test_the_last_two_checkpoints_are_known_unless_they_are_damaged() -> None:
    events = [began(), saved(1), saved(2), saved(3)]
    assert folded(*events).trials[0].checkpoints == [checkpoint(2), checkpoint(3)]
    events.append(CheckpointDamaged(**OF, checkpoint=checkpoint(3), message="it is cut off"))
    assert folded(*events).trials[0].checkpoints == [checkpoint(2)]


def test_memory_that_ran_out_cuts_the_batch_for_good() -> None:
    failed = SegmentFailed(**OF, failure="out_of_memory", message="", traceback="")
    assert folded(began(), handed_out(), failed).trials[0].microbatches == MICROBATCHES
    crashed = SegmentFailed(**OF, failure="crash", message="", traceback="")
    assert folded(began(), handed_out(), crashed).trials[0].microbatches == 1


def test_what_an_epoch_takes_is_told_without_what_was_compiled_in_the_first() -> None:
    metrics = [{"epoch_seconds": 9.0}, {"epoch_seconds": 2.0}, {}]
    found = folded(began(), *(epoch(n, metrics=one) for n, one in enumerate(metrics, 1))).trials[0]
    assert found.epoch_seconds == 2.0
    assert folded(began(), epoch(1)).trials[0].epoch_seconds is None


def test_an_edited_space_makes_another_version_and_a_resume_does_not() -> None:
    edited = experiment(space=SPACE | {"depth": [1, 2]})
    longer = experiment(search={"trials": 99})
    state = folded(study_started(session=2), study_started(longer, session=3))
    assert (state.space_version, state.sessions, state.experiment) == (1, 3, longer)
    state = folded(began(), study_started(edited, session=2), began(1, generation=2))
    assert (state.space_version, state.experiment) == (2, edited)
    assert [trial.space_version for trial in state.trials.values()] == [1, 2]


def test_a_study_that_is_taken_up_again_has_not_ended() -> None:
    stopped = StudyEnded(reason="interrupted", complete=False, time=5)
    assert folded(stopped).ended == stopped
    assert not folded(stopped).is_complete
    assert folded(StudyEnded(reason="all", complete=True, time=5)).is_complete
    assert folded(stopped, study_started(session=2)).ended is None
    assert not StudyState().has_begun


def test_the_best_is_best_in_the_objectives_own_direction() -> None:
    def complete(number: int, score: float | None) -> list[Event]:
        return [began(number), TrialEnded(trial=number, state="complete", score=score, values=None, epoch=1,
                                          reason="", failure=None, traceback="", time=9)]  # fmt: skip

    scores = [0.4, None, 0.9, 0.2, 0.9, 0.2]
    events = [event for number, score in enumerate(scores) for event in complete(number, score)]
    upwards = best(folded(*events))
    assert upwards is not None
    assert upwards.number == 2
    loss = study_started(experiment(objectives=objective("val_loss", "minimize")))
    downwards = best(folded(*events, opening=loss))
    assert downwards is not None
    assert downwards.number == 3
    assert best(folded()) is None


@given(st.lists(st.sampled_from([0.1, 0.5, math.nan, math.inf]), max_size=6), st.integers(0, 7))
def test_scores_are_finite_and_known_by_then(values: list[float], until: int) -> None:
    state = folded(began(), *(epoch(number, value) for number, value in enumerate(values, 1)))
    found = state.scores(state.trials[0], until)
    assert found == {
        number: value
        for number, value in enumerate(values, 1)
        if number <= until and value in (0.1, 0.5)
    }  # fmt: skip
    for number in range(8):
        assert state.score_after(state.trials[0], number) == (
            found.get(number) if number <= until else state.scores(state.trials[0], 9).get(number)
        )


@given(st.data())
def test_a_state_that_was_kept_up_to_date_is_the_one_that_is_folded_anew(data: st.DataObject) -> None:
    events: list[Event] = [
        study_started(), began(), handed_out(), epoch(1), saved(1), epoch(2), ended(3),
        study_started(experiment(search={"trials": 9}), session=2), began(1), handed_out(3, 9, attempt=2),
        epoch(4), ended(9, over=True),
    ]  # fmt: skip
    records = [LogRecord(seq, event) for seq, event in enumerate(events, 1)]
    kept = StudyState()
    for record in records[: data.draw(st.integers(1, len(records)))]:
        kept.apply(record)
        assert kept.experiment == restore(kept.started.experiment)  # compiled but once for a session
    anew = fold(records[: kept.last_seq])
    assert anew.experiment == kept.experiment
    assert anew == kept


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"search": {"sampler": "annealing"}},
            "search.sampler: 'annealing' is not allowed; it must be tpe, ",
        ),
        ({"space": {"depht": 2}}, "space.depht: there is no such parameter; did you mean depth?"),
    ],
)
def test_an_experiment_that_this_version_does_not_know_is_told_in_sentences(
    changes: dict[str, Any], reason: str
) -> None:
    opening = study_started()
    state = folded(opening=replace(opening, experiment=opening.experiment | changes))
    with pytest.raises(StudyError) as refused:
        _ = state.experiment
    message = str(refused.value)
    assert (
        f"the study {opening.study} has recorded cannot be read by this version of harness: {reason}"
        in message
    )
    assert "\n" not in message


EVALUATION = Evaluation(
    split="test", metrics={"accuracy": 0.75}, per_class=[], confusion=[[2, 1], [0, 1]]
)  # fmt: skip


COMPLETE = TrialEnded(
    trial=0, state="complete", score=0.5, values=[0.5], epoch=3, reason="finished", failure=None,
    traceback="", time=9000,
)  # fmt: skip


def opened(evaluation: Evaluation | None, time: int = 900_000) -> TestOpened:
    return TestOpened(
        trial=0, how="as_is", epoch=3, model_sha256="1" * 64, test_digest="2" * 64, images=4,
        evaluation=evaluation, time=time,
    )  # fmt: skip


def test_an_opening_of_the_test_set_counts_once_and_takes_no_time_of_the_study() -> None:
    before = [began(), handed_out(), epoch(3), ended(3, over=True), COMPLETE]
    without, begun = folded(*before), folded(*before, opened(None))
    whole = folded(*before, opened(None), opened(EVALUATION))
    assert openings_in_words(without) == "test set sealed: never opened"
    assert openings_in_words(begun) == openings_in_words(whole) == "test set opened once (trial 0)"
    assert begun.trials[0].evaluations == []
    assert whole.trials[0].evaluations == [EVALUATION]
    assert whole.openings[0].evaluation == EVALUATION
    assert without.elapsed_seconds == begun.elapsed_seconds == whole.elapsed_seconds
    later = folded(*before, opened(EVALUATION), study_started(session=2, time=2_000_000))
    assert later.earlier_seconds == without.elapsed_seconds


def test_what_trainings_of_earlier_versions_saw_of_the_test_set_counts() -> None:
    old = SegmentEnded(**OF, epoch=3, over=True, seconds=1.5, evaluations=[EVALUATION])
    state = folded(began(), handed_out(), epoch(3), old)
    assert openings_in_words(state) == "test set opened once (trial 0)"
    assert (state.openings[0].how, state.openings[0].images) == ("train", 4)
    assert state.openings[0].evaluation == EVALUATION
