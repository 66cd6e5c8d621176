"""What is known to take too long, or more memory than there is, is not begun."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engine.inline import InlineEngine
from harness.experiment.experiment import Objective
from harness.experiment.parameters import complete
from harness.experiment.space_file import parse_space
from harness.records import (
    ConfigurationRefused,
    EpochEnded,
    LogRecord,
    Params,
    SegmentEnded,
    TrialEnded,
    TrialStarted,
)
from harness.schedulers.full import FullTraining
from harness.schedulers.halving import Asha
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.protocol import Scheduler
from harness.schedulers.screening import Screen
from harness.study.event_log import read
from harness.study.refused import refusals
from harness.study.state import fold
from harness.sweeping.admission import SAFETY, Admission, Demands
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.beginning import ASKS
from harness.sweeping.costs_known import NothingKnown
from harness.sweeping.policy import Outcome, TimeLeft
from harness.sweeping.samplers.sampler import Sampler, Suggestion
from tests.studies import study_started
from tests.sweeping.test_coordinator import coordinator, finish, simulate

EPOCHS = 9
WIDTHS = {"width": [4, 8, 16, 48], "dropout": {"type": "float", "low": 0.0, "high": 0.5}}
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": lambda: Asha(1, EPOCHS, 3),
    "hyperband": lambda: Hyperband(1, EPOCHS, 3),
    "screen": lambda: Screen(1, EPOCHS, 2),
    "none": lambda: FullTraining(EPOCHS),
}


@dataclass
class Costs:
    """An epoch takes a second for a width of 4, and grows with its square; memory is the width's."""

    second: float = 1.0

    def epoch(self, params: Params) -> float:
        return self.second * (float(params["width"]) / 4) ** 2

    def seconds_to(self, params: Params, start: int, stop: int) -> float:
        return (stop - start) * self.epoch(params)

    def memory_bytes(self, params: Params) -> float:
        return float(params["width"])


def policy(
    name: str = "asha",
    *,
    costs: Any = None,
    space: dict[str, Any] = WIDTHS,
    kind: str = "random",
    memory: float = math.inf,
    trials: int = 1000,
    **options: Any,
) -> AsynchronousPolicy:
    sampler = Sampler(parse_space(space), kind, 0, objectives=[Objective("val_accuracy", True)], **options)
    scheduler = SCHEDULERS[name]()
    admission = Admission(costs or Costs(), scheduler.rungs[0], scheduler.rungs[-1], memory)
    return AsynchronousPolicy(sampler, scheduler, trials, admission)


@dataclass
class Swept:
    """What came of a simulated sweep."""

    reached: dict[int, int] = field(default_factory=dict)
    began: dict[int, tuple[float, Params]] = field(default_factory=dict)
    """When each trial began, and its configuration."""
    notes: list[str] = field(default_factory=list)
    ended: float = 0.0


def sweep(asked: AsynchronousPolicy, limit: float, *, workers: int = 1, real: Costs | None = None) -> Swept:
    """Train until the time is over or nothing is left to do; wider networks score better."""
    real, found, longest, now = real or Costs(), Swept(), 0.0, 0.0
    running: list[tuple[float, int, int]] = []
    while True:
        while len(running) < workers:
            choice = asked.ask(TimeLeft(limit - now, limit, longest))
            if choice is None:
                break
            if choice.suggestion is not None:
                found.began[choice.trial] = now, choice.suggestion.params
            found.notes += [choice.note] if choice.note else []
            epoch = real.epoch(found.began[choice.trial][1])
            start = found.reached.setdefault(choice.trial, 0)
            heapq.heappush(running, (now + (choice.stop - start) * epoch, choice.trial, choice.stop))
        if not running or running[0][0] > limit:
            found.ended = now
            return found
        now, trial, stop = heapq.heappop(running)
        found.reached[trial] = stop
        params = found.began[trial][1]
        longest = max(longest, real.epoch(params))
        score = float(params["width"]) / 100 + float(params["dropout"]) / 1000
        over = stop == EPOCHS
        asked.tell(
            Outcome(
                trial=trial, stop=stop, values=(score,), scores={stop: score},
                state="complete" if over else None, final=[score] if over else None,
                seconds=real.epoch(params),
            )
        )  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULERS)
@settings(max_examples=20, deadline=None)
@given(limit=st.floats(0.5, 3000), workers=st.integers(1, 3), kind=st.sampled_from(["random", "grid"]))
def test_nothing_is_begun_whose_first_rung_does_not_end_in_time(
    name: str, limit: float, workers: int, kind: str
) -> None:
    space = WIDTHS if kind == "random" else WIDTHS | {"dropout": [0.0, 0.1]}
    asked = policy(name, space=space, kind=kind)
    found, first = sweep(asked, limit, workers=workers), SCHEDULERS[name]().rungs[0]
    for when, params in found.began.values():
        assert SAFETY * first * Costs().epoch(params) <= limit - when
    refused = asked.take_refused()
    assert [one.number for one in refused] == sorted(one.number for one in refused)
    assert all(one.refusal.excess > 0 for one in refused)
    # The narrowest is among fifty suggestions: so something is begun, and whole, wherever it can be.
    if SAFETY * first <= limit:
        assert found.began
    else:
        assert not found.began
        assert asked.shortage is not None
    if limit >= SAFETY * EPOCHS * 1.3:
        assert EPOCHS in found.reached.values()
        assert not found.notes
    elif found.began and limit < SAFETY * EPOCHS:
        assert "can be trained to its end" in found.notes[0]
        assert len(found.notes) == 1


def test_late_in_a_sweep_nothing_new_is_begun_and_it_ends_when_nothing_can_end() -> None:
    asked = policy("none", costs=Costs(10.0))
    found = sweep(asked, 200.0, real=Costs(10.0))
    assert list(found.reached.values()) == [EPOCHS, EPOCHS]
    assert found.ended == 180.0
    assert asked.shortage is not None
    assert not asked.exhausted
    assert "in the 20 s that are left" in asked.shortage.used_up(BUDGET, STATE, 1).reason


def test_the_last_training_goes_by_what_is_known_of_costs_where_no_epoch_was_timed() -> None:
    asked = policy("screen", space=WIDTHS | {"width": [4]})
    for trial, score in enumerate((0.3, 0.9)):
        choice = asked.ask(TimeLeft(100, 100))
        assert choice is not None
        asked.tell(Outcome(trial=trial, stop=1, values=(score,), scores={1: score}))
    early = asked.ask(TimeLeft(13, 100))  # the best needs 8 epochs of a second and a twentieth: 8.4 s
    assert early is not None
    assert early.suggestion is not None
    now = asked.ask(TimeLeft(12, 100))
    assert now is not None
    assert (now.trial, now.stop, now.suggestion) == (1, EPOCHS, None)


STATE = fold(
    [
        LogRecord(1, study_started()),
        LogRecord(2, TrialStarted(trial=0, params={}, sampled={}, seed=0, time=0)),
    ]
)
BUDGET = STATE.experiment.budget


def test_what_nobody_knows_is_never_refused() -> None:
    asked = policy(costs=NothingKnown(), memory=1.0)
    assert sweep(asked, 3.0, workers=3).began
    assert asked.take_refused() == []
    refusal = Admission(NothingKnown(), 1, 9).refusal(complete({"width": 4}), TimeLeft(1, 1), Demands(0, 1))
    assert refusal is None


def test_what_no_memory_holds_is_not_begun_whatever_time_there_is() -> None:
    asked = policy(memory=8.0)
    for _ in range(20):
        choice = asked.ask(None)
        assert choice is not None
        assert choice.suggestion is not None
        assert float(choice.suggestion.params["width"]) <= 8
    assert {one.refusal.reason for one in asked.take_refused()} == {"memory"}
    none = policy(memory=2.0)
    assert none.ask(None) is None
    assert none.shortage is not None
    assert "the smallest takes" in none.shortage.used_up(BUDGET, STATE, 4).reason
    assert none.shortage.used_up(BUDGET, STATE, 4).raised_by == "--workers 2"


def test_when_all_that_fits_has_been_tried_it_is_said_that_nothing_more_does() -> None:
    space = {"width": [48, 16, 4], "dropout": [0.1]}
    asked = policy("none", memory=8.0, kind="grid", space=space)
    assert asked.ask(None) is not None
    assert asked.ask(None) is None
    assert not asked.exhausted
    assert asked.shortage is not None
    assert asked.shortage.needed == 16
    assert asked.shortage.used_up(BUDGET, STATE, 1).reason.startswith("nothing more that was suggested fits")


class Untimed(Costs):
    """Costs of which nobody may ask the seconds."""

    def seconds_to(self, params: Params, start: int, stop: int) -> float:
        raise AssertionError("a worker would have to build the network")


def test_without_a_limit_nobody_is_asked_how_long_anything_takes() -> None:
    asked = policy(costs=Untimed(), trials=3)
    for trial in range(3):
        choice = asked.ask(None)
        assert choice is not None
        asked.tell(Outcome(trial=trial, stop=1, values=(float(trial),), scores={1: float(trial)}))
    promotion = asked.ask(None)
    assert promotion is not None
    assert (promotion.trial, promotion.stop) == (2, 3)


def test_a_study_that_goes_on_asks_nothing_about_what_was_refused_before() -> None:
    """It would take a worker a while, and there may be hundreds."""
    told: list[tuple[int, Any, float]] = [
        (48, "first_rung", 90.0), (16, "full_training", 180.0), (8, "memory", 9e9),
    ]  # fmt: skip
    before = [
        ConfigurationRefused(
            number=0, params=complete({"width": width, "dropout": 0.25}),
            sampled={"width": width, "dropout": 0.25},
            reason=reason, needed=needed, available=1.0, time=0,
        )
        for width, reason, needed in told
    ]  # fmt: skip
    asked = policy(costs=Untimed(), space=WIDTHS | {"dropout": [0.25]}, memory=1e9)
    state = fold(LogRecord(seq, event) for seq, event in enumerate([study_started(), *before], 1))
    asked.restore(state, [], lambda _, __: (0.0,), TimeLeft(100, 100))
    choice = asked.ask(None)
    assert choice is not None
    assert choice.suggestion is not None
    assert choice.suggestion.params["width"] == 4


def test_known_good_configurations_are_refused_by_name() -> None:
    asked = policy(start_with=[{"width": 48}, {"width": 4, "dropout": 0.1}, {"width": 16}])
    choice = asked.ask(TimeLeft(50, 50))
    assert choice is not None
    assert choice.suggestion is not None
    assert choice.suggestion.sampled == {"width": 4, "dropout": 0.1}
    (refused,) = asked.take_refused()
    assert refused.sentence.startswith(
        "Configuration 1 of `start_with` is not begun: training it to its first"
    )
    second = asked.ask(TimeLeft(50, 50))
    assert second is not None
    assert asked.take_refused()[0].known_as == "configuration 3 of `start_with`"
    default = policy(kind="tpe", space={"width": [48]}, costs=Costs(100))
    assert default.ask(TimeLeft(50, 50)) is None
    assert default.take_refused()[0].sentence.startswith("The default configuration is not begun")


def refused_late(kind: str) -> int:
    """How many suggestions were refused after some trials, in a space of which about a third fits."""
    space = {"width": {"type": "int", "low": 4, "high": 64, "log": True}, "dropout": WIDTHS["dropout"]}
    asked = policy("none", space=space, kind=kind)
    for number in range(30):
        choice = asked.ask(TimeLeft(200, 200))
        assert choice is not None
        assert choice.suggestion is not None
        score = float(choice.suggestion.params["dropout"])
        asked.tell(
            Outcome(
                trial=number, stop=EPOCHS, values=(score,), scores={EPOCHS: score}, state="complete",
                final=[score],
            )
        )  # fmt: skip
    return sum(one.number >= 10 for one in asked.take_refused())


def test_the_sampler_learns_what_is_infeasible() -> None:
    assert refused_late("tpe") < refused_late("random") / 2


def test_what_is_cheapest_is_begun_after_many_refusals_and_not_asked_for_again() -> None:
    asked = policy("asha", space={"width": [32, 48], "dropout": WIDTHS["dropout"]})
    left = TimeLeft(100, 100)
    choice = asked.ask(left)
    assert choice is not None
    assert choice.suggestion is not None
    assert choice.suggestion.params["width"] == 32
    assert "No configuration that was suggested can be trained to its end in the 100 s" in choice.note
    refused = asked.take_refused()
    assert len(refused) == ASKS
    assert choice.suggestion.params in [one.params for one in refused]


events = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["running", "paused", "complete"])), min_size=1, max_size=9
)


@settings(max_examples=40, deadline=None)
@given(events, st.sampled_from(["tpe", "random", "grid"]), st.integers(0, 3))
def test_a_resumed_studys_sampler_asks_the_same(
    trials: list[tuple[int, str]], kind: str, pending: int
) -> None:
    """Whatever was refused on the way, and wherever it was cut off: also between a refusal and its trial."""
    dropout = [0.0, 0.1, 0.2] if kind == "grid" else WIDTHS["dropout"]
    space = {"width": [4, 8, 16, 48], "depth": [1, 2, 3, 4], "dropout": dropout}
    starts = [{"width": 48, "depth": 4, "dropout": 0.2}, {"width": 4}]
    made = [
        Sampler(parse_space(space), kind, 0, objectives=[Objective("val_accuracy", True)], start_with=starts)
        for _ in range(2)
    ]
    whole, again = made
    written: list[Any] = [study_started()]
    refused: list[Suggestion] = []

    def refuse(number: int) -> None:
        suggestion = whole.ask(number)
        assert suggestion is not None
        assert suggestion not in refused
        refused.append(suggestion)
        whole.refuse(number, suggestion, 0.5)
        written.append(
            ConfigurationRefused(
                number=number, params=suggestion.params, sampled=suggestion.sampled, reason="first_rung",
                needed=2.0, available=1.0, time=0,
            )
        )  # fmt: skip

    for number, (refusals_before, state) in enumerate(trials):
        for _ in range(refusals_before):
            refuse(number)
        if refusals_before == 4:
            chosen = whole.readmit(number, refused[-1].params, refused[-1].sampled)
        else:
            asked = whole.ask(number)
            assert asked is not None
            chosen = asked
        score = float(number % 5) / 10
        written.append(
            TrialStarted(trial=number, params=chosen.params, sampled=chosen.sampled, seed=chosen.seed, time=0)
        )
        if state == "running":
            continue
        over = state == "complete"
        written += [
            EpochEnded(trial=number, attempt=1, epoch=1, metrics={"val_accuracy": score}, time=0),
            SegmentEnded(trial=number, attempt=1, epoch=1, over=over, seconds=1, evaluations=[], time=0),
        ]
        if over:
            whole.finish(number, "complete", [score], {1: score})
            written.append(
                TrialEnded(
                    trial=number, state="complete", score=score, values=[score], epoch=1, reason="",
                    failure=None, traceback="", time=0,
                )
            )  # fmt: skip
        else:
            whole.pause(number, {1: score})
    for _ in range(pending):
        refuse(len(trials))
    state_now = fold(LogRecord(seq, event) for seq, event in enumerate(written, 1))
    for number in range(len(trials) + 1):
        for event in state_now.refused:
            if event.number == number:
                again.restore_refusal(number, event.params, event.sampled, 0.5)
        if number < len(trials):
            assert again.restore(state_now.trials[number], state_now.scores(state_now.trials[number], 1))
    for number in range(len(trials), len(trials) + 3):
        assert again.ask(number) == whole.ask(number)


def narrow_ones_fit(**options: Any) -> dict[str, Any]:
    """A time limit far away, and costs by which wide networks would take longer."""
    return {
        "space": WIDTHS | {"dropout": [0.0, 0.1, 0.2]},
        "sampler": "random",
        "timeout": 10_000.0,
        "admission": Admission(Costs(40.0), 1, 9),
    } | options


def test_refused_configurations_are_in_the_log_and_are_no_trials(tmp_path: Path) -> None:
    running = coordinator(tmp_path, trials=20, engine=InlineEngine(2, run=simulate), **narrow_ones_fit())
    ended = finish(running)
    records = read(tmp_path / "events.jsonl")
    refused = [one.event for one in records if isinstance(one.event, ConfigurationRefused)]
    assert {one.params["width"] for one in refused} == {48}
    assert not ended.complete
    assert ended.reason == (
        "nothing more can be trained to its end in the 10000 s that are left of the time limit"
    )
    assert sorted(running.state.trials) == list(range(9))
    assert {trial.params["width"] for trial in running.state.trials.values()} == {4, 8, 16}
    assert running.limit is not None
    assert running.limit.raised_by == "--timeout 20000"
    assert refusals(running.state) == [
        "3 configurations were not begun because their first rung would not have ended in time; "
        "all of them had width 48"
    ]
    # The made-up study's first event is of 1970: so much time counts as used.
    again = coordinator(tmp_path, trials=20, **narrow_ones_fit(timeout=1e11))
    assert finish(again).complete
    assert sorted(again.state.trials) == list(range(12))
    assert refusals(again.state) == []


def test_where_nothing_fits_nothing_is_begun_and_the_reason_is_said(tmp_path: Path) -> None:
    running = coordinator(tmp_path, **narrow_ones_fit(admission=Admission(Costs(20_000.0), 1, 9)))
    ended = finish(running)
    assert not ended.complete
    assert "no configuration that was suggested can be trained to its first rung" in ended.reason
    assert "the cheapest takes about 2e+04 s an epoch" in ended.reason
    assert running.state.trials == {}


def test_of_a_configuration_that_is_begun_after_all_it_is_not_said_that_it_is_not(tmp_path: Path) -> None:
    """One full training takes more than a third of the time, but there is nothing else to train."""
    options = narrow_ones_fit(space={"width": 4, "dropout": 0.1}, sampler="tpe")
    admission, notes = Admission(Costs(500.0), 9, 9), list[str]()
    running = coordinator(tmp_path, trials=1, scheduler=FullTraining(9), **options | {"admission": admission})
    assert finish(replace(running, note=notes.append)).complete
    assert len(running.state.refused) == 1
    assert notes == []


def test_in_order_nothing_is_refused(tmp_path: Path) -> None:
    running = coordinator(tmp_path, window=2, **narrow_ones_fit(admission=None))
    finish(running)
    assert running.state.refused == []
