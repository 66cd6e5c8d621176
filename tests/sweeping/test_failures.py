"""What is done about a segment that failed, for every kind of failure."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import FailureKind
from harness.study.trial import MICROBATCHES
from harness.sweeping.failures import ALIKE, RETRIES, Fail, Failure, Retry, answer, gives_up, is_charged

KINDS: tuple[FailureKind, ...] = get_args(FailureKind)
FAILURES = tuple(kind for kind in KINDS if kind != "preempted")
"""Those that say something of a trial, or of the machine that stays."""
OWN_FAULT = ("diverged", "user_code", "infeasible")
"""A configuration that fails like this fails every time."""


def failures(*kinds: FailureKind) -> st.SearchStrategy[Failure]:
    return st.builds(
        Failure,
        kind=st.sampled_from(kinds or KINDS),
        message=st.text(min_size=1),
        detail=st.text(),
        by_loss=st.booleans(),
        while_writing=st.booleans(),
    )


def tries_until_failed(failure: Failure) -> int:
    """How often a segment is run that always fails like this, as the coordinator counts."""
    charged, microbatches = 0, 1
    for runs in range(1, 100):
        charged += is_charged(failure)
        what = answer(failure, tries=charged, microbatches=microbatches)
        if isinstance(what, Fail):
            return runs
        if what.at_half_the_batch:
            microbatches = MICROBATCHES
    raise AssertionError("it is tried again for ever")


@given(failures(*FAILURES))
def test_whatever_fails_each_time_is_given_up_after_a_bounded_number_of_tries(failure: Failure) -> None:
    assert tries_until_failed(failure) <= max(RETRIES + 1, 2)


@given(failures("preempted"), st.integers(0, 1000), st.integers(1, MICROBATCHES))
def test_what_a_trial_loses_with_its_machine_is_done_again_as_it_was(
    failure: Failure, tries: int, microbatches: int
) -> None:
    assert answer(failure, tries=tries, microbatches=microbatches) == Retry()
    assert not is_charged(failure)


@given(failures(*OWN_FAULT))
def test_a_configuration_that_is_to_blame_is_not_run_again(failure: Failure) -> None:
    assert answer(failure, tries=0, microbatches=1) == Fail(failure.message)
    assert not is_charged(failure)


@given(failures("crash", "hang"), st.integers(1, RETRIES), st.integers(1, MICROBATCHES))
def test_a_crash_or_a_hang_is_tried_again_as_it_was(failure: Failure, tries: int, microbatches: int) -> None:
    assert answer(failure, tries=tries, microbatches=microbatches) == Retry()
    assert tries_until_failed(failure) == RETRIES + 1


@given(failures("out_of_memory"))
def test_memory_that_runs_out_in_training_halves_the_batch_once(failure: Failure) -> None:
    if failure.while_writing:  # the batch is not to blame: training was over
        assert answer(failure, tries=1, microbatches=1) == Retry()
        assert tries_until_failed(failure) == RETRIES + 1
    else:
        assert answer(failure, tries=0, microbatches=1) == Retry(at_half_the_batch=True)
        assert isinstance(answer(failure, tries=0, microbatches=MICROBATCHES), Fail)
        assert tries_until_failed(failure) == 2


@given(st.integers(0, 9), st.integers(1, MICROBATCHES))
def test_memory_of_a_gpu_that_others_share_is_no_fault_of_the_configuration(tries: int, parts: int) -> None:
    """The engine lets fewer share it each time, until it is alone."""
    failure = Failure("out_of_memory", "no room", "", shared=True)
    assert answer(failure, tries=tries, microbatches=parts) == Retry(with_fewer=True)
    assert not is_charged(failure)


@pytest.mark.parametrize(
    ("failure", "tries", "reason"),
    [
        (Failure("crash", "Worker 0 ended with status 1", "", by_loss=True), RETRIES + 1,
         "its worker was lost (Worker 0 ended with status 1) 3 times"),
        (Failure("crash", "The file could not be written.", ""), RETRIES + 1,
         "The file could not be written: 3 times"),
        (Failure("out_of_memory", "too large", ""), 0,
         "ran out of memory, even at half the batch with accumulated gradients"),
        (Failure("infeasible", "parameters is 9,000, above the limit of 100", ""), 0,
         "parameters is 9,000, above the limit of 100"),
    ],
)  # fmt: skip
def test_the_reason_says_what_happened_and_how_often(failure: Failure, tries: int, reason: str) -> None:
    assert answer(failure, tries=tries, microbatches=MICROBATCHES) == Fail(reason)


def test_the_users_own_code_is_given_up_at_once_and_other_code_after_several_equal_failures() -> None:
    assert not gives_up(0, plugin=True)
    assert gives_up(1, plugin=True)
    assert next(alike for alike in range(9) if gives_up(alike, plugin=False)) == ALIKE


@given(st.integers(0, 50), st.booleans())
def test_one_failure_more_never_brings_hope_back(alike: int, plugin: bool) -> None:
    assert gives_up(alike + 1, plugin=plugin) >= gives_up(alike, plugin=plugin)
