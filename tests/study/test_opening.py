"""Which study, and which of its trials, a command is about."""

from __future__ import annotations

import os

import pytest

from harness.errors import StudyError
from harness.paths import StudyPaths
from harness.records import StudyEnded, TrialEnded, TrialStarted
from harness.study.choosing import choose_trial
from harness.study.event_log import EventLog
from harness.study.opening import open_study, unknown_study
from harness.study.state import StudyState
from tests.studies import study_started


def made(name: str, *, minutes_ago: float = 0) -> StudyPaths:
    paths = StudyPaths.of(name)
    paths.folder.mkdir(parents=True)
    log = EventLog(paths.log)
    log.append(study_started(study=name))
    log.append(StudyEnded(reason="done", complete=True, time=7), durable=True)
    log.close()
    then = paths.log.stat().st_mtime - 60 * minutes_ago
    os.utime(paths.log, (then, then))
    return paths


def test_a_study_is_opened_by_its_name_and_else_the_one_last_active() -> None:
    made("new")
    old = made("old", minutes_ago=5)
    paths, state = open_study("old")
    assert (paths, state.name, state.is_complete) == (old, "old", True)
    assert open_study(None)[1].name == "new"


def test_without_a_study_it_is_said_how_to_start_one() -> None:
    with pytest.raises(StudyError, match="Start one with `harness sweep`"):
        open_study(None)
    with pytest.raises(StudyError, match=r"no study called 'x'.*There is no study here yet"):
        open_study("x")


def test_an_unknown_study_is_told_with_the_known_ones() -> None:
    made("one")
    with pytest.raises(StudyError, match=r"no study called 'two'.*Studies here: one"):
        open_study("two")
    assert "Studies here: one." in unknown_study("two")


def test_a_study_that_was_killed_before_it_began_is_told_as_such() -> None:
    paths = StudyPaths.of("dead")
    paths.folder.mkdir(parents=True)
    paths.log.write_text("")
    with pytest.raises(StudyError, match="The study dead never began"):
        open_study("dead")


def with_trials(*scores: float | None) -> StudyState:
    log = EventLog(made("s").log)
    for number, score in enumerate(scores):
        log.append(TrialStarted(trial=number, params={}, sampled={}, seed=0, time=8))
        log.append(
            TrialEnded(
                trial=number, state="complete", score=score, epoch=1, reason="", failure=None,
                values=None if score is None else [score], traceback="", time=9,
            )
        )  # fmt: skip
    log.close()
    return open_study("s")[1]


def test_a_trial_is_chosen_by_its_number_and_else_the_best_one() -> None:
    state = with_trials(0.1, 0.9, 0.5)
    assert choose_trial(state).number == 1
    assert choose_trial(state, 2).number == 2
    with pytest.raises(StudyError, match="no trial 3; its trials are 0 to 2"):
        choose_trial(state, 3)


def test_the_only_complete_trial_is_chosen_even_without_a_score() -> None:
    """Where all images are trained on, nothing says how good it is."""
    assert choose_trial(with_trials(None)).number == 0


def test_of_several_trials_without_a_score_one_must_be_named() -> None:
    with pytest.raises(StudyError, match=r"No complete trial of the study s has a score.*name one"):
        choose_trial(with_trials(None, None))


def test_without_trials_there_is_none_to_choose() -> None:
    state = with_trials()
    with pytest.raises(StudyError, match="none of them is the best"):
        choose_trial(state)
    with pytest.raises(StudyError, match="no trial 0, nor any other yet"):
        choose_trial(state, 0)
